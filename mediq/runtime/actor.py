"""An actor: a name, a mailbox, and a method for each message that it handles."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from mediq.messages.registry import Request, Spec, spec_of
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context

A = TypeVar("A", bound="Handlers")
R = TypeVar("R")
M = TypeVar("M", bound=Request[Any])
Handler = Callable[[A, M, Context], Awaitable[R]]


def handles(message: type[M]) -> Callable[[Handler[A, M, R]], Handler[A, M, R]]:
    """Mark the method that answers `message`."""

    def mark(method: Handler[A, M, R]) -> Handler[A, M, R]:
        method.__handles__ = message  # type: ignore[attr-defined]
        return method

    return mark


class Handlers:
    """An object whose methods, marked with :func:`handles`, answer messages. `handlers` names them by wire pattern."""

    handlers: ClassVar[dict[str, tuple[Spec[Any], str]]] = {}

    def methods(self) -> dict[str, tuple[Spec[Any], Callable[[Any, Context], Awaitable[Any]]]]:
        """The methods by wire pattern. An actor adds those of an object that answers a part of its messages."""
        return {pattern: (spec, getattr(self, name)) for pattern, (spec, name) in self.handlers.items()}

    def __init_subclass__(cls) -> None:
        found = dict(cls.handlers)
        for attribute, method in vars(cls).items():
            if (message := getattr(method, "__handles__", None)) is not None:
                spec = spec_of(message)
                found[spec.pattern] = (spec, attribute)
        cls.handlers = found


class Actor(Handlers):
    """Base of every service. It touches other actors through `self.bus` alone.

    `concurrency` is how many of its messages are handled at once; with 1 they are handled strictly in order.
    """

    name: ClassVar[str]
    concurrency: int = 16

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def on_start(self) -> None:
        """Make ready, before the first message. An exception here makes the supervisor try again."""

    async def run(self) -> None:
        """What the actor does beside its messages, such as sweeping; an exception makes the supervisor restart it.

        The base has nothing to do and returns at once.
        """

    async def on_stop(self) -> None:
        """Give back what `on_start` took, after the last message; also called when `on_start` failed half-way."""
