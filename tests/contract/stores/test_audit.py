"""The contract of the audit trail, on every SQL database."""

import asyncio
from datetime import timedelta, timezone

from mediq.stores.audit import AuditTrail, Entry
from tests.contract.stores.conftest import NOW


def an_entry(minute: int, **fields: object) -> Entry:
    known: dict[str, object] = {
        "at": NOW + timedelta(minutes=minute),
        "actor": "operator-1",
        "role": "OPERATOR",
        "action": "queue.call-next",
        "subject": "ticket-1",
        "why": None,
        "request_id": f"request-{minute}",
    }
    return Entry(**known | fields)  # type: ignore[arg-type]


async def test_newest_first_and_whole(trail: AuditTrail) -> None:
    assert await trail.page() == ([], 0)
    entries = [an_entry(minute, why="lansia" * 200) for minute in range(5)]
    for entry in (entries[2], entries[0], entries[4], entries[1], entries[3]):
        await trail.record(entry)
    assert await trail.page() == (entries[::-1], 5)
    assert await trail.page(page=2, limit=2) == (entries[2:0:-1], 5)
    assert await trail.page(page=4, limit=2) == ([], 5)


async def test_of_one_moment_the_last_recorded_first(trail: AuditTrail) -> None:
    for n in range(3):
        await trail.record(an_entry(0, subject=f"ticket-{n}"))
    found, _ = await trail.page()
    assert [entry.subject for entry in found] == ["ticket-2", "ticket-1", "ticket-0"]


async def test_the_house_acts_too(trail: AuditTrail) -> None:
    entry = Entry(at=NOW, action="queue.close-day")
    await trail.record(entry)
    assert await trail.page() == ([entry], 1)


async def test_filters(trail: AuditTrail) -> None:
    for minute in range(6):
        await trail.record(
            an_entry(
                minute,
                actor=f"operator-{minute % 2}",
                action="user.delete" if minute > 3 else "user.create",
            )
        )

    async def minutes(**wanted: object) -> list[int]:
        found, total = await trail.page(**wanted)  # type: ignore[arg-type]
        assert total == len(found)
        return sorted((entry.at - NOW) // timedelta(minutes=1) for entry in found)

    assert await minutes(actor="operator-1") == [1, 3, 5]
    assert await minutes(action="user.delete") == [4, 5]
    assert await minutes(actor="operator-1", action="user.delete") == [5]
    jakarta = timezone(timedelta(hours=7))
    since = (NOW + timedelta(minutes=2)).astimezone(jakarta)
    assert await minutes(since=since) == [2, 3, 4, 5]
    assert await minutes(until=since) == [0, 1]
    assert await minutes(since=since, until=NOW + timedelta(minutes=4)) == [2, 3]
    assert await minutes(actor="nobody") == []


async def test_many_at_once_are_all_recorded(trail: AuditTrail) -> None:
    await asyncio.gather(*(trail.record(an_entry(minute)) for minute in range(40)))
    assert (await trail.page(limit=1))[1] == 40
