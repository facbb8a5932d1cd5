"""On whose behalf, and until when, the code that runs now runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from mediq.messages.principal import Principal


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a request brings along through every nested ask.

    `deadline` is absolute, in seconds since the epoch. `key` is the idempotency key under which the present message
    may be repeated; `headers` (`request_id`, `traceparent`) travel on unchanged.
    """

    principal: Principal | None = None
    deadline: float | None = None
    key: str = ""
    attempt: int = 1
    headers: dict[str, str] = {}

    @property
    def request_id(self) -> str:
        return self.headers.get("request_id", "")

    @property
    def actor(self) -> str:
        """Who did it, for events and the audit trail: an account's id, or the system itself."""
        return self.principal.user_id if self.principal else "system"


NOBODY = Context()
"""The context of what the house does of its own accord."""

current: ContextVar[Context] = ContextVar("context", default=NOBODY)


def headers_now() -> dict[str, str]:
    """The headers of whatever runs at this moment; its log lines tell them."""
    return current.get().headers


@contextmanager
def following(headers: dict[str, str]) -> Iterator[None]:
    """Run what is in here on behalf of nobody, but following up on the request that travels with `headers`."""
    token = current.set(Context(headers=headers))
    try:
        yield
    finally:
        current.reset(token)
