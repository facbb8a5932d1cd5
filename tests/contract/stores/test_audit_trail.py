"""The contract of the audit trail, on every SQL database."""

import asyncio
from datetime import timedelta, timezone
from typing import Any

import pytest

from mediq.messages.audit_entry import AuditEntry
from mediq.stores import audit_trail as audit
from mediq.stores.audit_trail import AuditTrail, TrailPosition
from tests.fixtures.stores.backends import NOW


def an_entry(minute: int, **fields: object) -> AuditEntry:
    known: dict[str, object] = {
        "at": NOW + timedelta(minutes=minute),
        "actor": "operator-1",
        "role": "OPERATOR",
        "action": "user.read",
        "subject": "patient-1",
        "why": None,
        "ref": f"request-{minute}",
    }
    return AuditEntry(**known | fields)  # type: ignore[arg-type]


async def entries(trail: AuditTrail, place: TrailPosition | None = None, **wanted: Any) -> list[AuditEntry]:
    return [entry for _, entry in await trail.before(place, **wanted)]


async def test_entries_are_read_back_newest_first(trail: AuditTrail) -> None:
    assert await entries(trail) == []
    recorded = [an_entry(minute, why="lansia" * 200) for minute in range(5)]
    for n in (2, 0, 4, 1, 3):
        await trail.record(recorded[n])
    assert await entries(trail) == recorded[::-1]
    assert await entries(trail, limit=2) == recorded[:2:-1]


async def test_entries_of_one_moment_come_last_recorded_first(trail: AuditTrail) -> None:
    for n in range(3):
        await trail.record(an_entry(0, subject=f"patient-{n}"))
    assert [entry.subject for entry in await entries(trail)] == ["patient-2", "patient-1", "patient-0"]


async def test_reading_continues_from_any_position(trail: AuditTrail) -> None:
    """Also between entries of one moment, and however many come in front meanwhile."""
    for n in range(12):
        await trail.record(an_entry(n // 4, ref=str(n)))
    whole = await trail.before()
    for n, (place, _) in enumerate(whole):
        await trail.record(an_entry(60 + n))
        assert await trail.before(place) == whole[n + 1 :]
        assert await trail.before(place, limit=3) == whole[n + 1 : n + 4]
    place, first = whole[0]
    assert (await trail.before(TrailPosition(place.at, place.id + 1), limit=1))[0][1] == first


async def test_an_act_of_the_application_has_no_actor(trail: AuditTrail) -> None:
    entry = AuditEntry(at=NOW, action="user.create")
    await trail.record(entry)
    assert await entries(trail) == [entry]


async def test_entries_can_be_filtered(trail: AuditTrail) -> None:
    for minute in range(6):
        await trail.record(
            an_entry(
                minute,
                actor=f"operator-{minute % 2}",
                action="user.delete" if minute > 3 else "auth.login",
                subject=f"patient-{minute % 3}",
            )
        )

    async def minutes(**wanted: Any) -> list[int]:
        return [(entry.at - NOW) // timedelta(minutes=1) for entry in await entries(trail, **wanted)]

    assert await minutes(actor="operator-1") == [5, 3, 1]
    assert await minutes(action="user.delete") == [5, 4]
    assert await minutes(action="auth.") == [3, 2, 1, 0]
    assert await minutes(action="auth") == []
    assert await minutes(action="%.") == []
    assert await minutes(subject="patient-0") == [3, 0]
    assert await minutes(actor="operator-1", action="user.delete", subject="patient-2") == [5]
    jakarta = timezone(timedelta(hours=7))
    since = (NOW + timedelta(minutes=2)).astimezone(jakarta)
    assert await minutes(since=since) == [5, 4, 3, 2]
    assert await minutes(until=since) == [1, 0]
    assert await minutes(since=since, until=NOW + timedelta(minutes=4)) == [3, 2]
    assert await minutes(actor="nobody") == []


async def test_entries_recorded_at_once_are_all_stored(trail: AuditTrail) -> None:
    await asyncio.gather(*(trail.record(an_entry(minute)) for minute in range(40)))
    assert len(await entries(trail)) == 40


async def test_the_purge_takes_the_oldest_a_few_at_a_time(trail: AuditTrail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PURGED", 3)
    for minute in (4, 0, 3, 1, 2, 5):
        await trail.record(an_entry(minute))
    before = NOW + timedelta(minutes=5)
    assert [await trail.purge(before) for _ in range(3)] == [3, 2, 0]
    assert await entries(trail) == [an_entry(5)]
