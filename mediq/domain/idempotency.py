"""Keys under which a request may be repeated without happening twice.

Whoever may have to repeat a request gives it a key; whoever carries it out stores the key in the same write as the
outcome, and answers a repetition with what came of it. A key may carry a fingerprint of what is asked under it, by
which its use for something else is noticed.
"""

from typing import Final

from mediq.domain.errors import Conflict

_MARK: Final = "~"


def derive(origin: str, step: str) -> str:
    """The key of one step of a larger undertaking, such as `derive(job.id, "add-patient")`.

    The same origin and step always give the same key, so an undertaking that is resumed after a crash repeats its
    steps under the keys that it used before.
    """
    return f"{origin}:{step}"


def marked(key: str, fingerprint: str) -> str:
    """The key with the fingerprint of what is asked under it; neither may hold a `~`."""
    return f"{key}{_MARK}{fingerprint}"


def split(key: str) -> tuple[str, str]:
    """What the request is known by, and the fingerprint of what it asks, empty if the key carries none."""
    name, _, fingerprint = key.partition(_MARK)
    return name, fingerprint


def refuse_other_use(first: str | None, fingerprint: str) -> None:
    """Refuse a key whose first request had another fingerprint.

    Raises:
        Conflict: `key-reused`.
    """
    if (first or "") != fingerprint:
        raise Conflict("Kunci idempotensi ini sudah dipakai untuk permintaan lain.", code="key-reused")
