"""How envelopes for one mailbox are batched, published and failed, tested without a broker."""

import asyncio
import math
import time

import pytest

from mediq.messages.errors import MailboxFull, Unavailable, Unroutable
from mediq.transport.envelope import Envelope, Kind, decode_frame, new_id
from mediq.transport.rabbitmq import publisher as publisher_module
from mediq.transport.rabbitmq.connection import Refused
from mediq.transport.rabbitmq.publisher import BATCH, BATCH_BYTES, Publisher


class Broker:
    """Records what is published. Each publish waits for its verdict, which is success while the broker is open."""

    def __init__(self) -> None:
        self.frames: list[list[bytes]] = []
        self.expirations: list[float | None] = []
        self.open = True
        self.under_way: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self.emptied = 0
        self.set_back = 0.0
        self.publisher = Publisher(self.publish, lambda: time.time() - self.set_back, self.empty)

    async def publish(self, frame: bytes, expiration: float | None) -> None:
        self.frames.append([envelope.body for envelope in decode_frame(frame)])
        self.expirations.append(expiration)
        verdict = asyncio.get_running_loop().create_future()
        if self.open:
            verdict.set_result(None)
        else:
            self.under_way.put_nowait(verdict)
        await verdict

    def empty(self) -> None:
        self.emptied += 1

    def send(self, *bodies: str, deadline: float | None = None, room: float = math.inf) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(
                self.publisher.put(
                    Envelope(id=new_id(), pattern="p", kind=Kind.TELL, body=body.encode(), deadline=deadline),
                    room,
                )
            )
            for body in bodies
        ]


@pytest.fixture
async def broker() -> Broker:
    return Broker()


async def test_a_single_envelope_is_published_at_once(broker: Broker) -> None:
    await asyncio.gather(*broker.send("a"))
    assert (broker.frames, broker.emptied) == ([[b"a"]], 1)


async def test_envelopes_of_one_turn_share_a_frame(broker: Broker) -> None:
    await asyncio.gather(*broker.send("a", "b", "c"))
    assert broker.frames == [[b"a", b"b", b"c"]]


async def test_envelopes_that_come_turn_after_turn_share_a_frame(broker: Broker) -> None:
    sending = []
    for name in "abcde":
        sending += broker.send(name)
        await asyncio.sleep(0)
    await asyncio.gather(*sending)
    assert broker.frames == [[b"a", b"b", b"c", b"d", b"e"]]


async def test_envelopes_gather_while_a_frame_is_being_published(broker: Broker) -> None:
    broker.open = False
    first = broker.send("a")
    verdict = await broker.under_way.get()
    later = broker.send("b") + broker.send("c")
    await asyncio.sleep(0)
    broker.open = True
    verdict.set_result(None)
    await asyncio.gather(*first, *later)
    assert broker.frames == [[b"a"], [b"b", b"c"]]


async def test_a_batch_has_at_most_64_envelopes(broker: Broker) -> None:
    await asyncio.gather(*broker.send(*(str(n) for n in range(2 * BATCH + 1))))
    assert [len(frame) for frame in broker.frames] == [BATCH, BATCH, 1]
    assert [int(body) for frame in broker.frames for body in frame] == list(range(2 * BATCH + 1))


@pytest.mark.parametrize("under_way", [BATCH, BATCH + 20, 2 * BATCH])
async def test_many_concurrent_asks_take_turns_in_two_frames(broker: Broker, under_way: int) -> None:
    """Then one side reads while the other writes."""

    async def ask_again_and_again() -> None:
        for _ in range(5):
            await asyncio.gather(*broker.send("a"))

    await asyncio.gather(*(ask_again_and_again() for _ in range(under_way)))
    assert {len(frame) for frame in broker.frames} == {under_way // 2}


async def test_a_batch_is_limited_in_bytes_except_for_a_single_envelope(broker: Broker) -> None:
    big = "x" * (BATCH_BYTES + 1)
    await asyncio.gather(*broker.send("a", big, "b"))
    assert [len(frame) for frame in broker.frames] == [1, 1, 1]


async def test_a_frame_expires_with_its_last_envelope(broker: Broker) -> None:
    now = time.time()
    await asyncio.gather(*broker.send("a", deadline=now + 5.0), *broker.send("b", deadline=now + 9.0))
    await asyncio.gather(*broker.send("a", deadline=now + 5.0), *broker.send("b"))
    first, second = broker.expirations
    assert first == pytest.approx(9.0, abs=1.0)
    assert second is None


async def test_refused_envelopes_are_published_again_in_order(broker: Broker) -> None:
    broker.open = False
    first = broker.send("a", "b")
    verdict = await broker.under_way.get()
    later = broker.send("c")
    await asyncio.sleep(0)
    broker.open = True
    verdict.set_exception(Refused())
    await asyncio.gather(*first, *later)
    assert broker.frames == [[b"a", b"b"], [b"a", b"b", b"c"]]


async def test_an_envelope_without_room_by_its_deadline_fails_and_is_left_out(broker: Broker) -> None:
    broker.open = False
    (short,) = broker.send("short", deadline=time.time() + 0.2)
    (long,) = broker.send("long")
    (await broker.under_way.get()).set_exception(Refused())
    verdict = await broker.under_way.get()
    with pytest.raises(MailboxFull):
        await short
    verdict.set_exception(Refused())
    (await broker.under_way.get()).set_result(None)
    await long
    assert broker.frames[-1] == [b"long"]


async def test_a_clock_that_is_set_back_delays_no_deadline(broker: Broker) -> None:
    broker.open = False
    (sending,) = broker.send("a", deadline=time.time() + 0.1)
    verdict = await broker.under_way.get()
    broker.set_back = 3600.0
    with pytest.raises(Unavailable):
        await sending
    verdict.set_result(None)


async def test_an_unexpected_error_fails_every_pending_publish(broker: Broker) -> None:
    broker.open = False
    sent = broker.send(*map(str, range(BATCH + 6)))
    (await broker.under_way.get()).set_exception(KeyError("a client library's own"))
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}


async def test_an_envelope_waits_for_others_only_for_the_gathering_time(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(publisher_module, "GATHERING", 3.0)
    monkeypatch.setattr("mediq.transport.rabbitmq.publisher.time.monotonic", lambda: float(next(moments)))
    sent = []
    while not broker.frames:
        sent += broker.send("x")
        await asyncio.sleep(0)
    assert len(broker.frames[0]) < 8
    monkeypatch.undo()
    await asyncio.gather(*sent)


async def test_a_send_waits_for_room_only_for_its_own_time(broker: Broker) -> None:
    broker.open = False
    (hasty,) = broker.send("hasty", deadline=time.time() + 60.0, room=0.05)
    (patient,) = broker.send("patient", deadline=time.time() + 60.0)
    while not hasty.done():
        (await broker.under_way.get()).set_exception(Refused())
    with pytest.raises(MailboxFull):
        await hasty
    verdict = await broker.under_way.get()
    while broker.frames[-1] != [b"patient"]:
        verdict.set_exception(Refused())
        verdict = await broker.under_way.get()
    verdict.set_result(None)
    await patient


async def test_a_slow_confirm_is_not_a_full_mailbox(broker: Broker) -> None:
    broker.open = False
    (sending,) = broker.send("a", deadline=time.time() + 60.0, room=0.02)
    (behind,) = broker.send("b", deadline=time.time() + 0.1, room=0.02)
    verdict = await broker.under_way.get()
    await asyncio.wait([sending, behind], return_when=asyncio.FIRST_COMPLETED)
    assert not sending.done()
    assert behind.done()
    verdict.set_result(None)
    await sending
    with pytest.raises(Unavailable) as error:
        await behind
    assert not isinstance(error.value, MailboxFull)


async def test_a_confirm_after_the_deadline_is_unavailable(broker: Broker) -> None:
    broker.open = False
    (sending,) = broker.send("a", deadline=time.time() + 0.05)
    verdict = await broker.under_way.get()
    with pytest.raises(Unavailable) as error:
        await sending
    assert not isinstance(error.value, MailboxFull)
    verdict.set_result(None)


async def test_each_pending_publish_fails_at_its_own_deadline(broker: Broker) -> None:
    broker.open = False
    now = time.time()
    told: list[float] = []
    deadlines = [now + seconds for seconds in (0.1, 0.15, 0.05)]
    impatient = [sending for deadline in deadlines for sending in broker.send("x", deadline=deadline)]
    for sending in impatient:
        sending.add_done_callback(lambda _: told.append(time.time()))
    (patient,) = broker.send("patient", deadline=now + 60.0)
    verdict = await broker.under_way.get()
    async with asyncio.timeout(5.0):
        results = await asyncio.gather(*impatient, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert all(at >= deadline for at, deadline in zip(told, sorted(deadlines), strict=True))
    assert not patient.done()
    verdict.set_result(None)
    await patient


async def test_a_deadline_holds_after_an_earlier_publish(broker: Broker) -> None:
    now = time.time()
    await asyncio.gather(*broker.send("a", deadline=now + 0.1))
    broker.open = False
    (sending,) = broker.send("b", deadline=now + 0.2)
    async with asyncio.timeout(5.0):
        with pytest.raises(Unavailable):
            await sending


async def test_an_expired_or_cancelled_envelope_is_not_published(broker: Broker) -> None:
    await asyncio.gather(*broker.send("late", deadline=time.time() - 1.0))
    broker.open = False
    first = broker.send("a")
    verdict = await broker.under_way.get()
    (cancelled,) = broker.send("b")
    await asyncio.sleep(0)
    cancelled.cancel()
    broker.open = True
    verdict.set_result(None)
    await asyncio.gather(*first)
    assert broker.frames == [[b"a"]]


async def test_a_fault_fails_the_envelopes_of_its_frame_only(broker: Broker) -> None:
    broker.open = False
    first = broker.send("a", "b")
    verdict = await broker.under_way.get()
    later = broker.send("c")
    await asyncio.sleep(0)
    broker.open = True
    verdict.set_exception(Unroutable())
    assert [type(each) for each in await asyncio.gather(*first, return_exceptions=True)] == [Unroutable, Unroutable]
    await asyncio.gather(*later)
    assert broker.frames == [[b"a", b"b"], [b"c"]]


async def test_a_close_fails_every_pending_publish(broker: Broker) -> None:
    broker.open = False
    first = broker.send("a")
    await broker.under_way.get()
    later = broker.send("b")
    await asyncio.sleep(0)
    broker.publisher.close()
    for sending in first + later:
        with pytest.raises(Unavailable):
            await sending
    assert broker.emptied == 1
