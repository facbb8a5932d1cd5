"""The rules for changing a clinic while it works: never at the cost of patients who wait."""

from datetime import date
from itertools import chain

from mediq.actors.queue.rules.state import Queue
from mediq.actors.queue.rules.ticket import ACTIVE
from mediq.domain.clinic import Clinic, ClinicConfiguration
from mediq.domain.clinic_checks import configuration_problems
from mediq.domain.errors import Conflict, FieldError, Invalid


def refuse_change(
    queue: Queue, clinic: Clinic, configuration: ClinicConfiguration, revision: str | None, today: date
) -> None:
    """Refuse a configuration that cannot be a clinic, or cannot be one yet.

    Raises:
        Invalid: with every field that is wrong.
        Conflict: `clinic-changed`, by somebody else since the author looked; `day-open`, another time zone on an open
            day; `service-in-use`, `counter-in-use`, patients or staff are at something that would go; `letter-used`, a
            service gets the letter of numbers that another gave out today.
    """
    if wrong := [FieldError(problem.field, problem.words) for problem in configuration_problems(configuration)]:
        raise Invalid(wrong[0].message, errors=wrong)
    if revision not in (None, clinic.revision):
        raise Conflict("Pengaturan ini baru saja diubah orang lain. Muat ulang halaman ini.", code="clinic-changed")
    if configuration.timezone != clinic.timezone and queue.day is not None:
        raise _conflict("day-open", "timezone", "Zona waktu baru dapat diganti setelah hari ini ditutup.")
    _refuse_gone_services(queue, clinic, configuration)
    _refuse_gone_counters(queue, clinic, configuration)
    _refuse_used_letters(queue, configuration, today)


def changes(before: ClinicConfiguration, after: ClinicConfiguration) -> tuple[str, ...]:
    """The parts that differ: `name`, `services.gigi`, or `services` where only the order differs."""
    found = [name for name in ("name", "timezone", "notice") if getattr(before, name) != getattr(after, name)]
    for name in ("services", "counters"):
        old, new = ({each.id: each for each in getattr(configuration, name)} for configuration in (before, after))
        ids = [each for each in dict.fromkeys((*old, *new)) if old.get(each) != new.get(each)]
        found += [f"{name}.{each}" for each in ids]
        if not ids and list(old) != list(new):
            found.append(name)
    return tuple(found)


def _refuse_gone_services(queue: Queue, clinic: Clinic, configuration: ClinicConfiguration) -> None:
    kept = {service.id for service in configuration.services}
    for service in clinic.services:
        there = sum(ticket.service == service.id and ticket.status in ACTIVE for ticket in queue.tickets.values())
        if service.id not in kept and there:
            words = f"{service.name} masih punya {there} pasien. Layani atau alihkan mereka lebih dahulu."
            raise _conflict("service-in-use", "services", words)


def _refuse_gone_counters(queue: Queue, clinic: Clinic, configuration: ClinicConfiguration) -> None:
    kept = {counter.id for counter in configuration.counters}
    for counter in clinic.counters:
        if counter.id not in kept and queue.counter(counter.id).open:
            raise _conflict("counter-in-use", "counters", f"{counter.name} masih buka. Tutup loket itu lebih dahulu.")


def _refuse_used_letters(queue: Queue, configuration: ClinicConfiguration, today: date) -> None:
    names = {service.letter: (i, service) for i, service in enumerate(configuration.services)}
    for ticket in chain(queue.tickets.values(), queue.finished.values()):
        i, service = names.get(ticket.letter, (0, None))
        if service is not None and ticket.day == today and ticket.first_service != service.id:
            words = f"Huruf {ticket.letter} sudah dipakai poli lain hari ini. {service.name} perlu huruf lain."
            raise _conflict("letter-used", f"services[{i}].letter", words)


def _conflict(code: str, field: str, words: str) -> Conflict:
    return Conflict(words, code=code, errors=[FieldError(field, words)])
