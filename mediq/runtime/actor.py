"""An actor: a name, a mailbox, and one method for each message that it handles."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from mediq.messages.registry import Request, Spec, spec_of
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context

S = TypeVar("S")
R = TypeVar("R")
M = TypeVar("M", bound=Request[Any])
Handler = Callable[[S, M, Context], Awaitable[R]]


def handles(*messages: type[M]) -> Callable[[Handler[S, M, R]], Handler[S, M, R]]:
    """Mark the method that answers `messages`, of an actor or of one of its parts.

    Raises:
        KeyError: a message is not registered under a wire pattern.
    """
    specs = tuple(spec_of(message) for message in messages)

    def mark(method: Handler[S, M, R]) -> Handler[S, M, R]:
        method.__handles__ = specs  # type: ignore[attr-defined]
        return method

    return mark


class Actor:
    """Base class of every service. An actor reaches other actors only through `self.bus`.

    A service whose methods do not belong in one class is made of `parts`: plain objects whose marked methods answer
    messages as the actor's own do. `concurrency` is the number of messages handled at once; with 1, messages are
    handled strictly in order.

    Example::

        class ClockActor(Actor):
            name = "clock"
            concurrency = 4

            @handles(WhatTime)
            async def what_time(self, message: WhatTime, context: Context) -> Time:
                return Time(now=time.time())

    A handler raises a :class:`mediq.messages.errors.DomainError` to refuse. A :class:`mediq.messages.errors.Fault` is
    the reply to an ask, whose asker decides about a retry; a told message is retried. Any other exception counts as a
    crash: the message is retried. After its last attempt, a retried message becomes a dead letter.
    """

    name: ClassVar[str]
    concurrency: int = 16

    def __init__(self, bus: Bus, *parts: object) -> None:
        self.bus = bus
        self.handlers: dict[str, tuple[Spec[Any], Callable[[Any, Context], Awaitable[Any]]]] = {}
        for part in (self, *parts):
            self._add_handlers(part)

    def _add_handlers(self, part: object) -> None:
        for name, function in inspect.getmembers(type(part), inspect.isfunction):
            for spec in getattr(function, "__handles__", ()):
                if spec.pattern in self.handlers:
                    raise TypeError(f"{spec.pattern} has two handlers in the actor {self.name}")
                self.handlers[spec.pattern] = (spec, getattr(part, name))

    async def on_start(self) -> None:
        """Prepare, before the first message arrives. If this raises, the supervisor starts the actor again."""

    async def run(self) -> None:
        """Do the actor's background work, such as periodic sweeps. If this raises, the supervisor restarts the actor.

        The base class has no background work and returns at once.
        """

    async def on_stop(self) -> None:
        """Release what `on_start` acquired, after the last message; also called when `on_start` failed half-way."""
