"""Frames: decoding reverses encoding, and all other bytes raise one error."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.domain.roles import Role
from mediq.messages.principal import Principal
from mediq.transport.envelope import Envelope, Kind, Undecodable, decode_frame, encode_frame, new_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
envelopes = st.builds(
    Envelope,
    id=texts,
    pattern=texts,
    kind=st.sampled_from(Kind),
    body=st.binary(max_size=200),
    reply_to=st.none() | texts,
    correlation_id=st.none() | texts,
    deadline=st.none() | st.floats(allow_nan=False),
    attempt=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    idempotency_key=st.none() | texts,
    principal=st.none() | st.builds(Principal, texts, st.sampled_from(Role), texts),
    headers=st.dictionaries(texts, texts, max_size=4),
)


@settings(deadline=None)
@given(st.lists(envelopes, max_size=4))
def test_a_decoded_frame_equals_the_encoded_envelopes(batch: list[Envelope]) -> None:
    assert decode_frame(encode_frame(batch)) == batch


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused_by_one_error_or_none(raw: bytes) -> None:
    decode_or_refuse(raw)


@settings(deadline=None)
@given(st.lists(envelopes, min_size=1, max_size=2), st.data())
def test_a_damaged_frame_is_refused_by_one_error_or_none(batch: list[Envelope], data: st.DataObject) -> None:
    frame = bytearray(encode_frame(batch))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(bytes(frame))


@settings(deadline=None)
@given(st.lists(envelopes, min_size=1, max_size=2), st.data())
def test_a_truncated_frame_is_refused(batch: list[Envelope], data: st.DataObject) -> None:
    frame = encode_frame(batch)
    with pytest.raises(Undecodable):
        decode_frame(frame[: data.draw(st.integers(0, len(frame) - 1))])


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=12) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=30,
    )
)
def test_any_other_msgpack_is_refused_by_one_error_or_none(value: object) -> None:
    decode_or_refuse(msgspec.msgpack.encode(value))


def test_a_frame_nested_too_deep_is_refused() -> None:
    frame = bytearray(encode_frame([Envelope(id="1", pattern="p", kind=Kind.TELL, body=b"")]))
    frame[1] += 1  # one more field than an envelope has, as a later version might send; it is skipped
    with pytest.raises(Undecodable):
        decode_frame(bytes(frame) + b"\x91" * 100_000 + b"\x00")


def test_fields_that_a_later_version_adds_are_skipped() -> None:
    sent = Envelope(id="1", pattern="p", kind=Kind.TELL, body=b"b")
    frame = bytearray(encode_frame([sent]))
    frame[1] += 1
    assert decode_frame(bytes(frame) + b"\xa3new") == [sent]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Undecodable):
        decode_frame(msgspec.msgpack.encode([["1", "p", 9, b""]]))


def test_again_returns_the_same_envelope_with_its_attempt_raised() -> None:
    first = Envelope(id="1", pattern="p", kind=Kind.ASK, body=b"", reply_to="r", deadline=1.0, headers={"a": "b"})
    assert first.again() == msgspec.structs.replace(first, attempt=2)
    assert first.again().again().attempt == 3


def test_no_id_is_given_twice() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


def decode_or_refuse(raw: bytes) -> None:
    try:
        found = decode_frame(raw)
    except Undecodable:
        return
    assert all(isinstance(each, Envelope) for each in found)
