"""An actor: a name, a mailbox, and a method for each message that it handles."""

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
    """Base class of every service. An actor reaches other actors through `self.bus` alone.

    A service whose methods do not belong in one class is made of `parts`: plain objects whose marked methods answer
    messages as the actor's own do. `concurrency` is the number of messages handled at once; with 1, messages are
    handled strictly in order.

    Example::

        class Greeter(Actor):
            name = "greeter"

            @handles(Greet)
            async def greet(self, message: Greet, context: Context) -> Greeting:
                person = await self.bus.ask(FindPerson(id=message.id))
                return Greeting(text=f"Halo, {person.nama}")
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
        """Prepare before the first message. An exception makes the supervisor start the actor again."""

    async def run(self) -> None:
        """Work beside the messages, such as periodic clean-up. An exception makes the supervisor restart the actor.

        The base class has no such work and returns at once.
        """

    async def on_stop(self) -> None:
        """Release what `on_start` took, after the last message. Also called when `on_start` failed half-way."""
