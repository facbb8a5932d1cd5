"""What counters do while pages look on."""

from tests.fixtures.desk import Desk
from tests.fixtures.visitors import new_nik


async def wait_in_line(staff: Desk, service: str, people: int) -> list[str]:
    """So many patients take a number; the numbers."""
    tickets = [await staff.queue(await staff.register(new_nik()), service=service) for _ in range(people)]
    return [ticket["number"] for ticket in tickets]


async def call(staff: Desk, counter: str) -> str:
    """A counter ends with whom it has and calls the next; the number called."""
    mine = (await staff.get("/queue", params={"counter": counter})).body["data"]
    for ticket in mine:
        if ticket["status"] in ("CALLED", "IN_PROGRESS"):
            await staff.delete(f"/queue/{ticket['id']}")
    called = await staff.patch("/queue/call-next", {"counter": counter})
    assert called.status == 200, called
    return str(called.body["number"])
