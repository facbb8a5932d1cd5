"""Errors of a start that name the setting: which server does not answer, or refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

from mediq.messages.errors import Unavailable


@contextmanager
def explain_unavailable(setting: str) -> Iterator[None]:
    """Turn "unavailable" into an error that names `setting`, the server's address.

    An empty `setting` means an embedded store: its errors pass unchanged.
    """
    try:
        yield
    except Unavailable as error:
        if not setting or error.detail != Unavailable().detail:
            raise
        raise Unavailable(f"The server that {setting} names does not answer; start it, or set its address.") from error


@contextmanager
def explain_refused(setting: str) -> Iterator[None]:
    """Turn a database server's refusal, such as of a password, into an error that names `setting`.

    An empty `setting` means an embedded store: its errors pass unchanged.
    """
    from sqlalchemy.exc import DBAPIError  # only a role with a database has it loaded

    try:
        yield
    except DBAPIError as error:
        if not setting or error.orig is None:
            raise
        raise Unavailable(f"The server that {setting} names refuses: {error.orig.args[-1]}") from error
