"""An actor: a name, a mailbox, and one method for each message that it handles."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from mediq.messages.registry import Request, Spec, spec_of
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context

A = TypeVar("A", bound="Actor")
R = TypeVar("R")
M = TypeVar("M", bound=Request[Any])
Handler = Callable[[A, M, Context], Awaitable[R]]


def handles(message: type[M]) -> Callable[[Handler[A, M, R]], Handler[A, M, R]]:
    """Mark the method of an actor that handles `message`; the method returns the reply."""

    def mark(method: Handler[A, M, R]) -> Handler[A, M, R]:
        method.__handles__ = message  # type: ignore[attr-defined]
        return method

    return mark


class Actor:
    """Base class of every service. An actor reaches other actors only through `self.bus`.

    `concurrency` is the number of messages handled at once; with 1, messages are handled strictly in order.

    Example::

        class ClockActor(Actor):
            name = "clock"
            concurrency = 4

            @handles(WhatTime)
            async def what_time(self, message: WhatTime, context: Context) -> Time:
                return Time(now=time.time())

    A handler raises a :class:`mediq.messages.errors.DomainError` to refuse. Any other exception counts as a crash:
    the message is retried, then becomes a dead letter.
    """

    name: ClassVar[str]
    concurrency: int = 16
    handlers: ClassVar[dict[str, tuple[Spec[Any], str]]] = {}
    """For each message pattern, its specification and the name of the method that handles it."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def __init_subclass__(cls) -> None:
        found = dict(cls.handlers)
        for attribute, method in vars(cls).items():
            if (message := getattr(method, "__handles__", None)) is not None:
                spec = spec_of(message)
                found[spec.pattern] = (spec, attribute)
        cls.handlers = found

    async def on_start(self) -> None:
        """Prepare, before the first message arrives. If this raises, the supervisor starts the actor again."""

    async def run(self) -> None:
        """Do the actor's background work, such as periodic sweeps. If this raises, the supervisor restarts the actor.

        The base class has no background work and returns at once.
        """

    async def on_stop(self) -> None:
        """Release what `on_start` acquired, after the last message; also called when `on_start` failed half-way."""
