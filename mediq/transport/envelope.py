"""What travels: an envelope around one message, and the frame that holds a batch of them."""

import itertools
import secrets
from enum import IntEnum

import msgspec

from mediq.messages.principal import Principal


class Kind(IntEnum):
    ASK = 1
    TELL = 2
    REPLY = 3
    ERROR = 4
    EVENT = 5


# The members as names of their own: an enumeration's class looks them up in half a microsecond.
ASK, TELL, REPLY, ERROR, EVENT = Kind


class Envelope(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One message under way.

    `body` is the message in msgpack. `deadline` is absolute, in seconds since the epoch: after it nobody waits for an
    answer. `attempt` counts from 1. An ask names the mailbox for its answer in `reply_to`; the answer carries the
    ask's `id` as its `correlation_id`.
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
        """The same envelope for one more attempt."""
        return msgspec.structs.replace(self, attempt=self.attempt + 1)


class Undecodable(ValueError):
    """Bytes that are no frame of envelopes."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Envelope]).decode

_process = secrets.token_hex(8)
_sequence = itertools.count(1)


def new_id() -> str:
    """A message id that no other process and no other message has."""
    return f"{_process}-{next(_sequence)}"


def encode_frame(envelopes: list[Envelope]) -> bytes:
    """The bytes of a batch of envelopes, mostly of one."""
    return _encode(envelopes)


def decode_frame(frame: bytes) -> list[Envelope]:
    """The envelopes of a frame.

    Raises:
        Undecodable: the bytes are no such frame.
    """
    try:
        return _decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(str(error)) from error
