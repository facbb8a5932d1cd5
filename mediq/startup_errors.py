"""What is said at a start when a server that the settings name does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from mediq.messages.errors import Unavailable


@contextmanager
def reached(setting: str) -> Iterator[None]:
    """Say which `setting` names the server that does not answer; without one, errors pass unchanged."""
    try:
        yield
    except Unavailable as error:
        if not setting or error.detail != Unavailable().detail:
            raise
        raise Unavailable(f"The server that {setting} names does not answer; start it, or set its address.") from error
