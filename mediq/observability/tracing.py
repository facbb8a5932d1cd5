"""Trace context (W3C): the ids that tie the log lines of one request together across processes."""

import random
import re
from typing import Final

_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})-"
    r"(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


def new_id(size: int) -> str:
    """A random id of `size` bytes in hexadecimal digits; not for secrets."""
    return random.getrandbits(8 * size).to_bytes(size).hex()  # less than half the cost of `secrets`


def traceparent(shown: str | None) -> str:
    """The caller's `traceparent` header if it is valid, otherwise a new one (W3C Trace Context, version 00).

    MediQ records no spans: the next service sees the caller as the parent, as the standard allows.
    """
    found = _TRACEPARENT.fullmatch(shown) if shown else None
    if found is None or (found["version"] == "00" and found["more"]):
        ids = new_id(24)
        return f"00-{ids[:32]}-{ids[32:]}-00"
    return f"00-{found['trace']}-{found['parent']}-{found['flags']}"
