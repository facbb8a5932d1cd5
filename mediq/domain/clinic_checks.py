"""The checks of a clinic's settings, with messages for the start of the program and for the form in a browser."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator

import msgspec

from mediq.domain.clinic import TIMEZONES, Clinic, ClinicConfiguration, Policy

LONGEST_NAME = 60
LONGEST_NOTICE = 300
LONGEST_ID = 40
MOST_COUNTERS = 100

_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_RESERVED_IDS = ("all", "utama")


class Problem(msgspec.Struct, frozen=True):
    """An error in one `field`, such as `services[1].letter`; `says` is for the start, `words` for the form."""

    field: str
    says: str
    words: str


def problems(clinic: Clinic) -> list[Problem]:
    """The errors in a clinic's settings; empty if there are none."""
    return [*configuration_problems(clinic), *_policy_problems(clinic.policy)]


def configuration_problems(configuration: ClinicConfiguration) -> Iterator[Problem]:
    """The errors in the part that an administrator may change."""
    if configuration.timezone not in TIMEZONES:
        zones = ", ".join(TIMEZONES)
        yield Problem(
            "timezone",
            f"The time zone {configuration.timezone!r} is not one of {zones}.",
            f"Zona waktu harus salah satu dari {zones}.",
        )
    if not configuration.services:
        yield Problem("services", "The clinic has no service; name at least one.", "Klinik perlu sedikitnya satu poli.")
    if not configuration.counters:
        yield Problem(
            "counters", "The clinic has no counter; name at least one.", "Klinik perlu sedikitnya satu loket."
        )
    if len(configuration.counters) > MOST_COUNTERS:
        yield Problem(
            "counters",
            f"At most {MOST_COUNTERS} counters.",
            f"Klinik dapat memiliki paling banyak {MOST_COUNTERS} loket.",
        )
    if len(configuration.notice) > LONGEST_NOTICE or not configuration.notice.isprintable():
        yield Problem(
            "notice",
            f"The notice must have at most {LONGEST_NOTICE} letters on one line.",
            f"Teks berjalan paling banyak {LONGEST_NOTICE} huruf, dalam satu baris.",
        )
    yield from _names(configuration)
    yield from _ids(configuration)
    yield from _services(configuration)
    yield from _counters(configuration)


def _names(configuration: ClinicConfiguration) -> Iterator[Problem]:
    named = [("name", configuration.name)]
    named += [(f"services[{i}].name", service.name) for i, service in enumerate(configuration.services)]
    named += [(f"counters[{i}].name", counter.name) for i, counter in enumerate(configuration.counters)]
    for field, name in named:
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            yield Problem(
                field,
                f"The name {name!r} must have 1 to {LONGEST_NAME} letters on one line.",
                f"Nama harus 1 sampai {LONGEST_NAME} huruf, dalam satu baris.",
            )


def _ids(configuration: ClinicConfiguration) -> Iterator[Problem]:
    services = [(f"services[{i}].id", service.id) for i, service in enumerate(configuration.services)]
    counters = [(f"counters[{i}].id", counter.id) for i, counter in enumerate(configuration.counters)]
    letters = [(f"services[{i}].letter", service.letter) for i, service in enumerate(configuration.services)]
    yield from _twice("service id", "Id poli", services)
    yield from _twice("letter", "Huruf", letters)
    yield from _twice("counter id", "Id loket", counters)
    for field, value in (*services, *counters):
        if not value or not _ID_LETTERS.issuperset(value) or len(value) > LONGEST_ID:
            yield Problem(
                field,
                f"The id {value!r} may hold only small letters, digits and hyphens, at most {LONGEST_ID}.",
                f"Id hanya boleh berisi huruf kecil, angka dan tanda hubung, paling banyak {LONGEST_ID}.",
            )
    for field, value in services:
        if value in _RESERVED_IDS:
            yield Problem(
                field,
                f"The service id {value!r} is kept for the board of all services.",
                f"Id {value} dipakai untuk papan semua poli.",
            )


def _twice(what: str, words: str, found: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    where = list(found)
    for value, times in Tally(value for _, value in where).items():
        if times > 1:
            last = [field for field, each in where if each == value][-1]
            yield Problem(
                last, f"The {what} {value!r} is used {times} times.", f"{words} {value} dipakai {times} kali."
            )


def _services(configuration: ClinicConfiguration) -> Iterator[Problem]:
    taken = {name for counter in configuration.counters for name in (counter.services or _service_ids(configuration))}
    for i, service in enumerate(configuration.services):
        if not (len(service.letter) == 1 and "A" <= service.letter <= "Z"):
            yield Problem(
                f"services[{i}].letter",
                f"The letter of service {service.id!r} must be one capital A to Z, not {service.letter!r}.",
                "Huruf nomor antrean harus satu huruf besar A sampai Z.",
            )
        if service.opens is not None and service.opens == service.closes:
            yield Problem(
                f"services[{i}].closes",
                f"Service {service.id!r} opens and closes at the same time.",
                "Jam tutup tidak boleh sama dengan jam buka.",
            )
        for field, at in (("opens", service.opens), ("closes", service.closes)):
            if at is not None and at.tzinfo is not None:
                yield Problem(
                    f"services[{i}].{field}",
                    f"Service {service.id!r} {field} by the clinic's clock; give the time without a zone.",
                    "Jam ditulis tanpa zona waktu.",
                )
        if service.id not in taken:
            yield Problem(
                f"services[{i}].id",
                f"No counter takes service {service.id!r}.",
                f"Belum ada loket yang melayani {service.name}.",
            )


def _counters(configuration: ClinicConfiguration) -> Iterator[Problem]:
    known = _service_ids(configuration)
    for i, counter in enumerate(configuration.counters):
        for name in counter.services:
            if name not in known:
                yield Problem(
                    f"counters[{i}].services",
                    f"Counter {counter.id!r} names the unknown service {name!r}.",
                    f"Poli {name} tidak ada di klinik ini.",
                )


def _service_ids(configuration: ClinicConfiguration) -> set[str]:
    return {service.id for service in configuration.services}


def _policy_problems(policy: Policy) -> Iterator[Problem]:
    least = {
        "max_wait_minutes": 1,
        "recall_limit": 0,
        "undo_seconds": 0,
        "high_in_a_row": 1,
        "retention_days": 1,
        "elderly_age": 1,
        "close_after_minutes": 0,
    }
    for name, minimum in least.items():
        if (value := getattr(policy, name)) < minimum:
            yield Problem(
                f"policy.{name}",
                f"{name} must be {minimum} or more, not {value}.",
                f"{name} paling sedikit {minimum}, bukan {value}.",
            )
