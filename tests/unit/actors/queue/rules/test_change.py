"""Changes of the clinic's configuration while tickets and counters are in use."""

from datetime import time
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from mediq.actors.queue.rules.commands import (
    AddPatient,
    Cancel,
    CloseCounter,
    Complete,
    Configure,
    Given,
    Hold,
    OpenCounter,
    Requeue,
    Skip,
    Transfer,
    Undo,
)
from mediq.actors.queue.rules.events import ClinicChanged, Recorded
from mediq.actors.queue.rules.public_views import board_view, clinic_view
from mediq.actors.queue.rules.queue import EMPTY, decide, dump, evolve, load
from mediq.domain.clinic import ClinicConfiguration, Counter, Service
from mediq.domain.errors import Conflict, DomainError, Invalid
from tests.fixtures.queue.journal import CLINIC, MORNING, Journal, replayed

CONFIGURATION = ClinicConfiguration(
    name=CLINIC.name, timezone=CLINIC.timezone, services=CLINIC.services, counters=CLINIC.counters
)
ANAK = Service(id="anak", name="Poli Anak", letter="C")
WITHOUT_GIGI = replace(
    CONFIGURATION,
    services=tuple(service for service in CONFIGURATION.services if service.id != "gigi"),
    counters=(CLINIC.counters[0], replace(CLINIC.counters[1], services=("umum",)), CLINIC.counters[2]),
)


def change(journal: Journal, configuration: ClinicConfiguration, **fields: Any) -> None:
    journal.configure(configuration, **fields)


def refused(journal: Journal, configuration: ClinicConfiguration) -> DomainError:
    before = journal.queue
    with pytest.raises(DomainError) as refusal:
        change(journal, configuration)
    assert journal.queue is before
    return refusal.value


def test_a_saved_configuration_holds_from_then_on(journal: Journal) -> None:
    wanted = replace(CONFIGURATION, name="Klinik Baru", services=(*CONFIGURATION.services, ANAK))
    journal.configure(wanted, why="poli baru", key="k")
    assert journal.log[-1].event == ClinicChanged(configuration=wanted, changed=("name", "services.anak"))
    assert journal.log[-1].why == "poli baru"
    assert journal.add("anak").number == "C-001"
    assert journal.call("3", service="anak").service == "anak"
    assert board_view(journal.queue, "anak", journal.clinic_now, journal.at).clinic == "Klinik Baru"
    assert journal.clinic_now.policy == CLINIC.policy, "the policy comes from the settings"
    assert replayed(journal.log) == load(dump(journal.queue)) == journal.queue


def test_saving_the_present_configuration_records_no_event(journal: Journal) -> None:
    change(journal, CONFIGURATION)
    assert journal.log == []
    change(journal, WITHOUT_GIGI)
    change(journal, WITHOUT_GIGI)
    assert len(journal.log) == 1
    change(journal, CONFIGURATION)
    assert len(journal.log) == 2


def test_the_settings_hold_until_a_configuration_is_saved(journal: Journal) -> None:
    journal.clinic = replace(journal.clinic, name="Nama Baru")
    assert journal.clinic_now.name == "Nama Baru"
    change(journal, CONFIGURATION)
    assert journal.clinic_now.name == "Klinik Melati"
    journal.clinic = replace(journal.clinic, name="Lain Lagi", policy=replace(CLINIC.policy, recall_limit=9))
    assert (journal.clinic_now.name, journal.clinic_now.policy.recall_limit) == ("Klinik Melati", 9)


def test_an_empty_notice_is_not_written() -> None:
    """A version of the program without notices refuses the field."""
    assert b"notice" not in msgspec.msgpack.encode(CONFIGURATION)
    assert b"notice" in msgspec.msgpack.encode(replace(CONFIGURATION, notice="Libur."))


def test_every_wrong_field_is_named(journal: Journal) -> None:
    wrong = replace(CONFIGURATION, timezone="Europe/Berlin", services=(replace(ANAK, letter="c"), ANAK))
    refusal = refused(journal, wrong)
    assert isinstance(refusal, Invalid)
    fields = [error.field for error in refusal.errors]
    assert "timezone" in fields
    assert "services[0].letter" in fields
    assert all(error.message.endswith(".") for error in refusal.errors)


def test_a_service_with_active_tickets_cannot_be_removed(journal: Journal) -> None:
    for steps in ([], [Hold]):
        ticket = journal.add("gigi")
        for step in steps:
            journal.do(step, id=ticket.id)
        refusal = refused(journal, WITHOUT_GIGI)
        assert (type(refusal), refusal.code) == (Conflict, "service-in-use")
        assert "Poli Gigi" in refusal.detail
        journal.do(Cancel, id=ticket.id)
    called = journal.add("gigi")
    journal.call("2", service="gigi")
    assert refused(journal, WITHOUT_GIGI).code == "service-in-use"
    journal.do(Complete, id=called.id)
    change(journal, WITHOUT_GIGI)
    with pytest.raises(Invalid):
        journal.add("gigi")


def test_a_ticket_does_not_return_to_a_removed_service(journal: Journal) -> None:
    """Neither by a requeue after a skip nor by the undo of a transfer."""
    skipped, moved = journal.add("gigi"), journal.add("gigi")
    journal.call("2", service="gigi")
    journal.do(Skip, id=skipped.id)
    journal.call("2", service="gigi")
    journal.do(Transfer, id=moved.id, service="farmasi")
    change(journal, WITHOUT_GIGI)
    with pytest.raises(Conflict) as refusal:
        journal.do(Requeue, id=skipped.id)
    assert refusal.value.code == "service-gone"
    with pytest.raises(Conflict) as refusal:
        journal.do(Undo, counter="2")
    assert refusal.value.code == "service-gone"
    assert journal.call("3").id == moved.id


def test_an_open_counter_cannot_be_removed(journal: Journal) -> None:
    without = replace(CONFIGURATION, counters=CONFIGURATION.counters[1:])
    journal.do(OpenCounter, counter="1")
    refusal = refused(journal, without)
    assert (type(refusal), refusal.code) == (Conflict, "counter-in-use")
    assert "Loket 1" in refusal.detail
    journal.do(CloseCounter, counter="1")
    change(journal, without)
    with pytest.raises(Invalid):
        journal.call("1")


def test_a_letter_used_today_is_not_given_to_another_service(journal: Journal) -> None:
    ticket = journal.add("gigi")
    journal.do(Transfer, id=ticket.id, service="farmasi")
    taken = replace(WITHOUT_GIGI, services=(*WITHOUT_GIGI.services, replace(ANAK, letter="B")))
    refusal = refused(journal, taken)
    assert (type(refusal), refusal.code) == (Conflict, "letter-used")
    assert [error.field for error in refusal.errors] == ["services[2].letter"]
    change(journal, WITHOUT_GIGI)
    assert refused(journal, taken).code == "letter-used", "the service that used it was removed"
    journal.close_day()
    assert refused(journal, taken).code == "letter-used", "the day was closed early"
    journal.later(days=1)
    change(journal, taken)
    assert journal.add("anak").number == "B-001"


def test_a_service_may_change_its_own_letter(journal: Journal) -> None:
    journal.add("umum")
    first, *others = CONFIGURATION.services
    change(journal, replace(CONFIGURATION, services=(replace(first, letter="U"), *others)))
    assert journal.add("umum").number == "U-001"
    change(journal, CONFIGURATION)
    assert journal.add("umum").number == "A-002", "the old letter goes on counting"


def test_the_time_zone_can_change_only_while_no_day_is_open(journal: Journal) -> None:
    east = replace(CONFIGURATION, timezone="Asia/Jayapura")
    journal.add()
    assert refused(journal, east).code == "day-open"
    journal.close_day()
    change(journal, east)
    assert (
        clinic_view(journal.queue, journal.clinic_now, journal.at).at.utcoffset()
        == journal.clinic.changed(east).local(journal.at).utcoffset()
    )
    assert journal.add().number == "A-002"


def test_the_first_command_of_a_day_may_change_the_time_zone(journal: Journal) -> None:
    journal.add()
    journal.later(days=1)
    change(journal, replace(CONFIGURATION, timezone="Asia/Jakarta"))
    assert journal.queue.day is None
    assert journal.add().number == "A-001"


def test_changed_opening_hours_hold_at_once(journal: Journal) -> None:
    closed = replace(CONFIGURATION.services[0], opens=time(10), closes=time(12))  # the clock says nine
    change(journal, replace(CONFIGURATION, services=(closed, *CONFIGURATION.services[1:])))
    with pytest.raises(Conflict) as refusal:
        journal.add("umum")
    assert refusal.value.code == "closed"
    assert [service.open for service in clinic_view(journal.queue, journal.clinic_now, journal.at).services] == [
        False,
        True,
        True,
    ]


def test_a_change_repeated_under_its_key_counts_once(journal: Journal) -> None:
    change(journal, WITHOUT_GIGI, key="k~1")
    change(journal, CONFIGURATION)
    change(journal, WITHOUT_GIGI, key="k~1")
    assert journal.queue.configuration == CONFIGURATION
    with pytest.raises(Conflict) as refusal:
        change(journal, CONFIGURATION, key="k~2")
    assert refusal.value.code == "key-reused"


def test_a_snapshot_without_a_configuration_loads(journal: Journal) -> None:
    journal.add()
    journal.add()
    journal.serve("1")
    old = msgspec.msgpack.decode(dump(journal.queue))
    del old["premises"], old["at"]
    queue = load(msgspec.msgpack.encode(old | {"format": 1}))
    assert msgspec.structs.replace(queue, at=journal.at) == journal.queue == replayed(journal.log)
    assert (queue.configuration, queue.at) == (None, None)
    assert journal.call("2").number == "A-002"


SERVICES = st.lists(
    st.sampled_from([*CLINIC.services, ANAK, replace(CLINIC.services[0], letter="U"), replace(ANAK, id="mata")]),
    min_size=1,
    max_size=4,
    unique_by=lambda service: service.id,
)
STEPS = st.lists(
    st.one_of(
        SERVICES,
        st.tuples(st.just("add"), st.sampled_from(["umum", "gigi", "farmasi", "anak", "mata"])),
        st.tuples(st.just("serve"), st.sampled_from(["1", "2", "3", "8", "9"])),
        st.tuples(st.just("sleep"), st.just("")),
    ),
    max_size=25,
)


@given(STEPS)
def test_after_any_changes_a_replay_agrees_and_every_ticket_has_a_service(steps: list[Any]) -> None:
    journal = Journal()
    snapshots = [dump(EMPTY)]
    for n, step in enumerate(steps):
        try:
            match step:
                case ("add", service):
                    journal.add(service)
                case ("serve", counter):
                    journal.serve(counter)
                case ("sleep", _):
                    journal.later(days=1)
                case services:
                    counters = (Counter(id="3", name="Loket 3"), Counter(id=f"{8 + n % 2}", name="Loket"))
                    change(journal, ClinicConfiguration(name=f"K{n}", services=tuple(services), counters=counters))
        except DomainError:
            pass
        snapshots.append(dump(journal.queue))
        clinic = journal.clinic_now
        offered = {service.id for service in clinic.services}
        assert {ticket.service for ticket in journal.queue.tickets.values()} <= offered
        open_counters = {counter for counter, state in journal.queue.counters.items() if state.open}
        assert open_counters <= {counter.id for counter in clinic.counters}
        kept = chain(journal.queue.tickets.values(), journal.queue.finished.values())
        numbers = [(ticket.day, ticket.number) for ticket in kept]
        assert len(numbers) == len(set(numbers))
    assert replayed(journal.log) == journal.queue
    for data in snapshots:
        assert replayed(journal.log, load(data)) == journal.queue


def test_the_event_names_the_parts_that_changed(journal: Journal) -> None:
    other = replace(CONFIGURATION, timezone="Asia/Jayapura", counters=CONFIGURATION.counters[1:])
    change(journal, other)
    change(journal, replace(other, services=other.services[::-1]))
    named = [each.event.changed for each in journal.log if isinstance(each.event, ClinicChanged)]
    assert named == [("timezone", f"counters.{CONFIGURATION.counters[0].id}"), ("services",)]


def test_the_event_survives_encoding_and_decoding() -> None:
    event = ClinicChanged(
        configuration=replace(CONFIGURATION, services=(replace(ANAK, opens=time(7, 30)),)), changed=("services.anak",)
    )
    recorded = Recorded(version=1, at=MORNING, actor="sari", event=event)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(recorded), type=Recorded)
    assert again == recorded
    assert evolve(EMPTY, again).configuration == event.configuration
    from_json = msgspec.json.decode(msgspec.json.encode(again), type=Recorded)
    assert from_json == recorded
    assert asdict(event.configuration)["services"][0].opens == time(7, 30)


def test_a_command_is_decided_on_the_changed_clinic(journal: Journal) -> None:
    change(journal, WITHOUT_GIGI)
    given = Given(at=journal.at, actor="a", ticket_id="t", token="k")
    with pytest.raises(Invalid):
        decide(journal.queue, AddPatient(user_id="u", service="gigi"), given, CLINIC)


def test_a_change_of_an_older_revision_is_refused(journal: Journal) -> None:
    seen = CLINIC.revision
    change(journal, WITHOUT_GIGI)
    assert journal.clinic_now.revision == WITHOUT_GIGI.revision != seen
    given = Given(at=journal.at, actor="sari")
    stale = Configure(**asdict(CONFIGURATION), revision=seen)
    with pytest.raises(Conflict) as refused:
        decide(journal.queue, stale, given, CLINIC)
    assert refused.value.code == "clinic-changed"
    fresh = Configure(**asdict(CONFIGURATION), revision=WITHOUT_GIGI.revision)
    assert decide(journal.queue, fresh, given, CLINIC).events
    again = Configure(**asdict(WITHOUT_GIGI), revision=seen)
    assert decide(journal.queue, again, given, CLINIC).events == (), "nothing would change, so nothing is refused"
