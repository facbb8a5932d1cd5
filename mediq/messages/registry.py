"""The registry of messages: every wire pattern, and the class of its message.

A message is a frozen, keyword-only struct, registered under its wire pattern by a decorator::

    class Greeting(msgspec.Struct, frozen=True):
        text: str

    @request("greeter.greet", idempotent=True)
    class Greet(Request[Greeting], frozen=True, kw_only=True):
        name: str

    @event("greeter.greeted")
    class Greeted(Event, frozen=True, kw_only=True):
        name: str
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

Reply = TypeVar("Reply")
_Message = TypeVar("_Message", bound=type[msgspec.Struct])


class Request(msgspec.Struct, Generic[Reply], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base class of messages that ask for a `Reply`, such as `class AddPatient(Request[TicketView], ...)`."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of messages that tell what has happened; every subscriber gets a copy."""


class Done(msgspec.Struct, frozen=True):
    """The reply to a request that needs no other reply."""

    done: bool = True


class Spec(Generic[Reply]):
    """The registration of a pattern.

    `service` is the service that answers; the settings name its mailbox. `idempotent` means that repeating the request
    changes nothing, so the bus may retry it. An event has no reply and no service.
    """

    __slots__ = ("decode", "decode_reply", "idempotent", "pattern", "reply", "service", "type")

    def __init__(self, pattern: str, type: type[Any], reply: Any, service: str, idempotent: bool) -> None:
        self.pattern = pattern
        self.type = type
        self.reply = reply
        self.service = service
        self.idempotent = idempotent
        self.decode = msgspec.msgpack.Decoder(type).decode
        self.decode_reply = msgspec.msgpack.Decoder(reply).decode if reply is not None else None


_by_pattern: dict[str, Spec[Any]] = {}
_by_type: dict[type, Spec[Any]] = {}


def request(pattern: str, *, service: str | None = None, idempotent: bool = False) -> Callable[[_Message], _Message]:
    """Register a :class:`Request` under its wire pattern; by default the pattern's first word is the service.

    Raises:
        ValueError: the pattern is registered already.
        TypeError: the class names no reply.
    """

    def register(cls: _Message) -> _Message:
        _add(Spec(pattern, cls, _reply_of(cls), service or pattern.partition(".")[0], idempotent))
        return cls

    return register


def event(pattern: str) -> Callable[[_Message], _Message]:
    """Register an event under its wire pattern, which is also its topic. One class may have several patterns."""

    def register(cls: _Message) -> _Message:
        _add(Spec(pattern, cls, None, "", True))
        return cls

    return register


def spec_of(message: type) -> Spec[Any]:
    """The registration of a message class.

    Raises:
        KeyError: the class has no registration, or several.
    """
    return _by_type[message]


def spec_named(pattern: str) -> Spec[Any] | None:
    """The registration of a wire pattern, or None if this process does not know the pattern."""
    return _by_pattern.get(pattern)


def patterns() -> list[str]:
    """Every registered wire pattern, sorted."""
    return sorted(_by_pattern)


def _add(spec: Spec[Any]) -> None:
    if spec.pattern in _by_pattern:
        raise ValueError(f"the pattern {spec.pattern} is registered twice")
    if any(other.type is spec.type for other in _by_pattern.values()):
        _by_type.pop(spec.type, None)
    else:
        _by_type[spec.type] = spec
    _by_pattern[spec.pattern] = spec


def _reply_of(cls: type) -> Any:
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is Request:
            return get_args(base)[0]
    raise TypeError(f"{cls.__name__} must subclass Request[...] to name its reply")
