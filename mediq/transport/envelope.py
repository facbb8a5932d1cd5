"""The wire format: an envelope holds one message, a frame holds a batch of envelopes."""

import itertools
import secrets
from enum import IntEnum

import msgspec

from mediq.messages.principal import Principal


class Kind(IntEnum):
    """What an envelope is for; the numbers are part of the wire format."""

    ASK = 1
    TELL = 2
    REPLY = 3
    ERROR = 4
    EVENT = 5


# Module names for the members: attribute access on an Enum class takes half a microsecond.
ASK, TELL, REPLY, ERROR, EVENT = Kind


class Envelope(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One message with its metadata.

    `body` is the message in msgpack. `deadline` is absolute, in seconds since the epoch; after it, the asker no longer
    waits. `attempt` counts from 1. An ask names the mailbox for its reply in `reply_to`; the reply carries the ask's
    `id` as its `correlation_id`.
    """

    id: str
    pattern: str
    kind: Kind
    body: bytes
    reply_to: str | None = None
    correlation_id: str | None = None
    deadline: float | None = None
    attempt: int = 1
    idempotency_key: str | None = None
    principal: Principal | None = None
    headers: dict[str, str] = {}

    def again(self) -> "Envelope":
        """Return a copy with its attempt raised by one."""
        return msgspec.structs.replace(self, attempt=self.attempt + 1)


class Undecodable(ValueError):
    """Bytes are not a frame of envelopes."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Envelope]).decode

_process = secrets.token_hex(8)
_sequence = itertools.count(1)


def new_id() -> str:
    """Return a message id that is unique across processes."""
    return f"{_process}-{next(_sequence)}"


def encode_frame(envelopes: list[Envelope]) -> bytes:
    """Encode a batch of envelopes, most often a single one."""
    return _encode(envelopes)


def decode_frame(frame: bytes) -> list[Envelope]:
    """Return the envelopes of a frame.

    Raises:
        Undecodable: the bytes are not a frame.
    """
    try:
        return _decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(str(error)) from error
