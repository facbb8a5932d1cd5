"""Errors on the wire: each comes back as what it was, and none is taken for another."""

import subprocess
import sys
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.domain.errors import DomainError, FieldError, Invalid
from mediq.messages import errors
from mediq.messages.errors import Fault, Internal, WireError, from_wire, to_wire

NAMED = [cls for name in errors.__all__ if isinstance(cls := getattr(errors, name), type)]
REFUSALS = [cls for cls in NAMED if issubclass(cls, DomainError)]
FAULTS = [cls for cls in NAMED if issubclass(cls, Fault)]

E = TypeVar("E", DomainError, Fault)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
waits = st.none() | st.floats(0, 1e6)


def over_the_wire(error: DomainError | Fault) -> DomainError | Fault:
    raw = msgspec.msgpack.encode(to_wire(error))
    return from_wire(msgspec.msgpack.decode(raw, type=WireError))


@settings(deadline=None)
@given(
    st.sampled_from(REFUSALS),
    texts,
    st.none() | texts,
    st.lists(st.builds(FieldError, texts, texts), max_size=3),
    waits,
)
def test_a_refusal_survives_the_wire(
    cls: type[DomainError], detail: str, code: str | None, fields: list[FieldError], wait: float | None
) -> None:
    got = over_the_wire(cls(detail, code=code, errors=fields, retry_after=wait))
    assert type(got) is cls
    assert isinstance(got, DomainError)
    assert (got.detail, got.code, got.errors, got.retry_after) == (detail, code or cls.kind, tuple(fields), wait)
    assert str(got) == detail


@settings(deadline=None)
@given(st.sampled_from(FAULTS), texts, waits)
def test_a_fault_survives_the_wire(cls: type[Fault], detail: str, wait: float | None) -> None:
    got = over_the_wire(cls(detail, retry_after=wait))
    assert type(got) is cls
    assert (got.detail, got.retry_after) == (detail, wait)


@pytest.mark.parametrize("cls", FAULTS)
def test_a_fault_without_a_detail_has_the_words_of_its_class(cls: type[Fault]) -> None:
    assert cls().detail
    assert cls().detail == cls.words


def test_errors_keep_their_words_under_python_OO() -> None:
    script = (
        "from mediq.messages.errors import Unavailable; from mediq.stores.driver_errors import Contended; "
        "print(Unavailable().detail == Contended().detail == Unavailable.words != '')"
    )
    told = subprocess.run([sys.executable, "-OO", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "True\n"


def test_no_two_kinds_have_the_same_name() -> None:
    codes = [cls.kind for cls in subclasses(DomainError)] + [cls.kind for cls in subclasses(Fault)]
    assert sorted(codes) == sorted(set(codes))


def test_every_kind_of_error_is_read_back_as_its_class() -> None:
    for refusal in subclasses(DomainError):
        assert type(over_the_wire(refusal("x"))) is refusal
    for fault in subclasses(Fault):
        assert type(over_the_wire(fault("x"))) is fault


def test_a_kind_that_this_process_does_not_know_is_internal() -> None:
    got = from_wire(WireError(kind="from-next-year", code="x", detail="y", retry_after=2.0))
    assert type(got) is Internal
    assert (got.detail, got.retry_after) == ("y", 2.0)


def test_a_refusal_can_name_one_field() -> None:
    got = over_the_wire(Invalid.field("nik", "harus 16 angka"))
    assert isinstance(got, Invalid)
    assert got.errors == (FieldError("nik", "harus 16 angka"),)


def subclasses(root: type[E]) -> list[type[E]]:
    """The class and its subclasses in the shared error tree; a store's own subclasses do not leave the store."""
    found: list[type[E]] = [root]
    for child in root.__subclasses__():
        if child.__module__.startswith(("mediq.domain", "mediq.messages")):
            found += subclasses(child)
    return found
