"""The request context of the running code: principal, deadline, idempotency key, headers."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from mediq.messages.principal import Principal


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries through every nested ask.

    `deadline` is absolute, in seconds since the epoch. `key` is the idempotency key of the message being handled;
    `headers` (`request_id`, `traceparent`) are passed on unchanged.
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
        """The acting account's id for events and the audit trail, or "system"."""
        return self.principal.user_id if self.principal else "system"


NOBODY = Context()
"""The context of work that MediQ starts by itself."""

current: ContextVar[Context] = ContextVar("context", default=NOBODY)


def headers_now() -> dict[str, str]:
    """Return the headers of the current context, for log lines."""
    return current.get().headers


@contextmanager
def following(headers: dict[str, str]) -> Iterator[None]:
    """Run the block without a principal, but as part of the request that `headers` belong to."""
    token = current.set(Context(headers=headers))
    try:
        yield
    finally:
        current.reset(token)
