"""The queue as bytes, so that a start need not replay the whole log."""

import re
from datetime import date, datetime
from typing import Any

import msgspec
from immutables import Map

from mediq.actors.queue.rules.state import Answer, CounterState, Pace, Queue
from mediq.actors.queue.rules.ticket import Ticket
from mediq.actors.queue.rules.waiting_line import Line
from mediq.domain.clinic import ClinicConfiguration

FORMAT = 3
"""Raised when a program that reads only earlier formats would act wrongly on a snapshot of the new one.

A new field with a default needs no new format: an older program ignores it, and a newer one uses the default where it
is missing. Raise the format when a field changes its meaning, or when an older program would decide wrongly without the
new one. `ClinicConfiguration` is stricter: a field that it does not know makes the snapshot unreadable.
"""

_READABLE = (1, 2, FORMAT)
"""The formats that can be read; a snapshot of any other format is replaced by a replay of the log."""

_FINGERPRINT = re.compile("[0-9a-f]*")


class UnreadableSnapshot(Exception):
    """These bytes are no snapshot of a format that can be read."""


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    version: int
    at: datetime | None = None
    day: date | None
    configuration: ClinicConfiguration | None = msgspec.field(default=None, name="premises")
    tickets: dict[str, Ticket]
    lines: dict[str, Line]
    counters: dict[str, CounterState] = msgspec.field(name="desks")
    numbers: dict[str, int]
    active: dict[str, str]
    tokens: dict[str, str]
    users: dict[str, tuple[str, ...]]
    answers: dict[str, Answer]
    finished: dict[str, Ticket]
    history: dict[str, msgspec.Raw]
    paces: dict[str, Pace]
    hours: dict[str, tuple[float, ...]]


_PLAIN = ("version", "at", "day", "configuration")
_MAPS = tuple(name for name in _Snapshot.__struct_fields__ if name not in ("format", *_PLAIN))
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


def dump(queue: Queue) -> bytes:
    """The queue as MessagePack, made in parts: a thread that makes it lets other threads run after each part."""
    maps: dict[str, dict[str, Any]] = {name: dict(getattr(queue, name)) for name in _MAPS}
    maps["history"] = {day: msgspec.Raw(visits) for day, visits in queue.history.items()}
    parts: dict[str, Any] = {name: msgspec.Raw(_encoder.encode(part)) for name, part in maps.items()}
    parts |= {name: getattr(queue, name) for name in _PLAIN}
    return _encoder.encode(_Snapshot(format=FORMAT, **parts))


def load(data: bytes) -> Queue:
    """The queue that :func:`dump` wrote.

    Raises:
        UnreadableSnapshot: the bytes are damaged or of another format; replay the log instead.
    """
    try:
        snapshot = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise UnreadableSnapshot(str(error)) from error
    if snapshot.format not in _READABLE:
        raise UnreadableSnapshot(f"snapshot format {snapshot.format}, not {FORMAT}")
    values: dict[str, Any] = {name: getattr(snapshot, name) for name in _PLAIN}
    values |= {name: Map(getattr(snapshot, name)) for name in _MAPS}
    values["history"] = Map({day: bytes(visits) for day, visits in snapshot.history.items()})
    values["answers"] = Map({key: _without_description(answer) for key, answer in snapshot.answers.items()})
    return Queue(**values)


def _without_description(answer: Answer) -> Answer:
    """Version 0.1.0 described the command where a key carried no fingerprint; such a key is compared with nothing."""
    return answer if _FINGERPRINT.fullmatch(answer.fingerprint) else msgspec.structs.replace(answer, fingerprint="")
