"""A clinic's settings: what is wrong with them, and what they mean."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mediq.domain.clinic import DEFAULT, TIMEZONES, Clinic, Counter, Policy, Service
from mediq.domain.clinic_checks import problems
from mediq.domain.errors import Invalid
from tests.fixtures.queue.journal import CLINIC


def clinic(**changes: Any) -> Clinic:
    return replace(CLINIC, **changes)


@pytest.mark.parametrize("good", [DEFAULT, CLINIC])
def test_a_valid_clinic_has_no_problems(good: Clinic) -> None:
    assert problems(good) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (clinic(timezone="Europe/Berlin"), "Europe/Berlin"),
        (clinic(services=()), "no service"),
        (clinic(counters=()), "no counter"),
        (clinic(services=(*CLINIC.services, Service(id="anak", name="Anak", letter="A"))), "letter 'A' is used 2"),
        (clinic(services=(*CLINIC.services, Service(id="umum", name="Anak", letter="C"))), "id 'umum' is used 2"),
        (clinic(services=(*CLINIC.services, Service(id="anak", name="Anak", letter="c"))), "capital"),
        (clinic(services=(*CLINIC.services, Service(id="anak", name="Anak", letter="CC"))), "capital"),
        (clinic(services=(*CLINIC.services, Service(id="Poli Anak", name="Anak", letter="C"))), "'Poli Anak'"),
        (clinic(services=(*CLINIC.services, Service(id="utama", name="Anak", letter="C"))), "'utama' is kept"),
        (
            clinic(
                services=(Service(id="umum", name="U", letter="A", opens=time(8), closes=time(8)),),
                counters=(Counter(id="1", name="1"),),
            ),
            "opens and closes at the same time",
        ),
        (clinic(counters=(*CLINIC.counters, Counter(id="9", name="9", services=("jantung",)))), "service 'jantung'"),
        (clinic(counters=(*CLINIC.counters, Counter(id="1", name="Satu"))), "counter id '1' is used 2"),
        (clinic(counters=CLINIC.counters[:1]), "No counter takes service 'gigi'"),
        (clinic(name=" "), "The name ' '"),
        (clinic(name="K" * 61), "1 to 60"),
        (clinic(services=(*CLINIC.services, Service(id="a" * 41, name="A", letter="C"))), "at most 40"),
        (clinic(counters=tuple(Counter(id=f"{n}", name=f"{n}") for n in range(101))), "At most 100"),
        (
            clinic(services=(*CLINIC.services, Service(id="c", name="C", letter="C", opens=time(8, tzinfo=UTC)))),
            "without a zone",
        ),
        (clinic(policy=Policy(max_wait_minutes=0)), "max_wait_minutes must be 1 or more"),
        (clinic(policy=Policy(recall_limit=-1)), "recall_limit"),
        (clinic(policy=Policy(retention_days=0)), "retention_days"),
    ],
)
def test_each_problem_gets_a_sentence(bad: Clinic, words: str) -> None:
    found = problems(bad)
    assert any(words in problem.says for problem in found), found
    assert all(problem.says.endswith(".") and problem.words.endswith(".") for problem in found)
    assert all(re.fullmatch(r"[a-z_]+(\[\d+\])?(\.[a-z_]+)?", problem.field) for problem in found)


@pytest.mark.parametrize(("zone", "hour"), list(zip(TIMEZONES, (17, 16, 15), strict=True)))
def test_the_day_turns_at_local_midnight(zone: str, hour: int) -> None:
    here = clinic(timezone=zone)
    assert here.day(datetime(2026, 11, 23, hour - 1, 59, tzinfo=UTC)) == date(2026, 11, 23)
    assert here.day(datetime(2026, 11, 23, hour, 0, tzinfo=UTC)) == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("opens", "closes", "hours"),
    [
        (None, None, range(24)),
        (time(8), time(14), range(8, 14)),
        (time(8), None, range(8, 24)),
        (None, time(14), range(14)),
        (time(20), time(6), [*range(6), *range(20, 24)]),
    ],
)
def test_a_service_is_open_during_its_hours(opens: time | None, closes: time | None, hours: list[int]) -> None:
    service = Service(id="x", name="X", letter="X", opens=opens, closes=closes)
    midnight = datetime(2026, 11, 22, 16, tzinfo=UTC)  # in WITA
    found = [h for h in range(24) if CLINIC.is_open(service, midnight.replace(hour=(16 + h) % 24))]
    assert found == list(hours)


def test_minutes_since_the_last_service_closed() -> None:
    day = clinic(
        services=(
            Service(id="a", name="A", letter="A", opens=time(8), closes=time(12)),
            Service(id="b", name="B", letter="B", opens=time(8), closes=time(14)),
        )
    )
    wita = {8: 0, 7: 23, 13: 5, 14: 6, 15: 7}
    found = {h: day.minutes_since_closing(datetime(2026, 11, 23, utc, tzinfo=UTC)) for h, utc in wita.items()}
    assert found == {8: None, 7: None, 13: None, 14: 0, 15: 60}
    assert CLINIC.minutes_since_closing(datetime(2026, 11, 23, 15, tzinfo=UTC)) is None, "never closed"


def test_an_unknown_service_or_counter_is_refused_with_its_field() -> None:
    assert CLINIC.service(None).id == "umum"
    assert CLINIC.counter("2").name == "Loket 2"
    assert CLINIC.offered("3") == ("umum", "gigi", "farmasi")
    assert CLINIC.offered("2", "gigi") == ("gigi",)
    for wrong, field in (
        (lambda: CLINIC.service("x"), "service"),
        (lambda: CLINIC.counter("x"), "counter"),
        (lambda: CLINIC.offered("1", "gigi"), "service"),
    ):
        with pytest.raises(Invalid) as refusal:
            wrong()
        assert [e.field for e in refusal.value.errors] == [field]


def test_a_clinic_is_read_from_settings() -> None:
    read = msgspec.convert(
        {"name": "K", "services": [{"id": "a", "name": "A", "letter": "A", "opens": "08:00:00", "closes": "14:00:00"}]},
        Clinic,
    )
    assert read.services[0].opens == time(8)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"requeue": "middle"}, Policy)
