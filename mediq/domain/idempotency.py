"""Idempotency keys, under which a request may be repeated without happening twice.

The caller of a request that it may have to repeat gives the request a key. The service stores the key in the same write
as the outcome, and answers a repeated request with that outcome. A key may carry a fingerprint of the request, which
shows when the key is used for another request.
"""

from typing import Final

from mediq.domain.errors import Conflict

_MARK: Final = "~"


def derive(origin: str, step: str) -> str:
    """The key of one step of a larger operation, such as `derive(job.id, "add-patient")`.

    The same origin and step always give the same key: an operation that is resumed after a crash repeats its steps
    under the keys that it used before. A fingerprint that the origin carries is kept.
    """
    name, fingerprint = split(origin)
    return f"{name}:{step}" if not fingerprint else marked(f"{name}:{step}", fingerprint)


def marked(key: str, fingerprint: str) -> str:
    """The key with the fingerprint of its request; neither may contain a `~`."""
    return f"{key}{_MARK}{fingerprint}"


def split(key: str) -> tuple[str, str]:
    """The key's name, under which it is stored, and its fingerprint, empty if it carries none."""
    name, _, fingerprint = key.partition(_MARK)
    return name, fingerprint


def refuse_other_use(first: str | None, fingerprint: str) -> None:
    """Refuse a key whose first request had another fingerprint.

    Raises:
        Conflict: `key-reused`.
    """
    if (first or "") != fingerprint:
        raise Conflict("Kunci idempotensi ini sudah dipakai untuk permintaan lain.", code="key-reused")
