"""Pending replies: each has its own deadline, all share one timer."""

import asyncio
import time
from collections.abc import Callable

import pytest

from mediq.messages.errors import Expired, Unavailable
from mediq.runtime.pending_replies import PendingReplies
from mediq.transport.envelope import Envelope, Kind
from tests.fixtures.runtime import StubDelivery

LONG = 3600.0


def reply_to(ask: str | None, body: bytes = b"") -> StubDelivery:
    return StubDelivery(Envelope(id="id", pattern="p", kind=Kind.REPLY, body=body, correlation_id=ask))


@pytest.mark.parametrize("order", [["soon", "later", "long"], ["long", "later", "soon"], ["later", "long", "soon"]])
async def test_each_ask_expires_at_its_own_deadline_in_any_order(order: list[str]) -> None:
    seconds = {"soon": 0.03, "later": 0.09, "long": LONG}
    began = time.monotonic()
    replies = PendingReplies()
    waiting = {ask: replies.expect(ask, seconds[ask]) for ask in order}
    for ask in ("soon", "later"):
        with pytest.raises(Expired):
            await waiting[ask]
        assert time.monotonic() - began >= seconds[ask] - 0.002, "a loop may count in milliseconds"
        assert not waiting["long"].done()
    replies.receive(reply_to("long", b"x"))
    assert (await waiting["long"]).body == b"x"


async def test_deadlines_hold_after_a_time_without_pending_asks() -> None:
    replies = PendingReplies()
    for _ in range(3):
        with pytest.raises(Expired):
            await replies.expect("ask", 0.01)
        replies.forget("ask")
        assert len(replies) == 0


async def test_a_deadline_in_the_past_expires_at_once() -> None:
    with pytest.raises(Expired):
        await PendingReplies().expect("ask", -1.0)


async def test_the_deadline_does_not_undo_a_reply() -> None:
    replies = PendingReplies()
    reply = replies.expect("ask", 0.01)
    replies.receive(reply_to("ask", b"x"))
    replies.receive(reply_to("ask", b"a second"))
    with pytest.raises(Expired):
        await replies.expect("another", 0.05)
    assert (await reply).body == b"x"


@pytest.mark.parametrize("ask", [None, "", "unknown", "forgotten"])
async def test_a_reply_without_a_pending_ask_is_dropped(ask: str | None) -> None:
    replies = PendingReplies()
    replies.expect("forgotten", LONG)
    replies.forget("forgotten")
    replies.receive(reply_to(ask))


async def test_one_timer_serves_all_pending_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_later = loop.call_later

    def recorded(delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        timers.append(call_later(delay, callback))
        return timers[-1]

    monkeypatch.setattr(loop, "call_later", recorded)
    replies = PendingReplies()
    for number in range(1000):
        replies.expect(str(number), LONG + number)
        replies.forget(str(number))
    assert len(timers) == 1
    replies.expect("sooner", LONG / 2)
    assert [timer.cancelled() for timer in timers] == [True, False]
    replies.fail(Unavailable)
    assert timers[-1].cancelled()


async def test_all_pending_asks_fail_together() -> None:
    replies = PendingReplies()
    answered, waiting = replies.expect("answered", LONG), replies.expect("waiting", LONG)
    replies.receive(reply_to("answered", b"x"))
    replies.fail(Unavailable)
    assert (await answered).body == b"x"
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Expired):
        await replies.expect("anew", 0.01)
