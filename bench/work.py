"""The work that every side of a comparison does: take a small request, answer with a ticket's state."""

from typing import Any

import msgspec

from mediq.messages.registry import Request, request
from mediq.runtime.actor import Actor, handles
from mediq.runtime.context import Context

MAILBOXES = {"bench": "bench_service_queue"}
PREFETCH = 128


class View(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number: str
    status: str
    people_ahead: int


@request("bench.view", idempotent=True)
class Ask(Request[View], frozen=True, kw_only=True):
    user_id: str
    service: str


BODY = msgspec.json.encode(Ask(user_id="user-1", service="poli-umum"))
JSON: dict[str, Any] = {"method": "POST", "body": BODY, "headers": {"Content-Type": "application/json"}}
"""The same over HTTP."""


def answer(message: Ask) -> View:
    return View(id=message.user_id, number="A-012", status="WAITING", people_ahead=3)


class BenchActor(Actor):
    name = "bench"
    concurrency = PREFETCH // 2

    @handles(Ask)
    async def view(self, message: Ask, context: Context) -> View:
        return answer(message)
