"""The registry of wire patterns."""

import importlib
import pkgutil
import re
from typing import Any, Generic, TypeVar

import msgspec
import pytest

import mediq.actors
import mediq.messages
from mediq.messages.registry import Done, Event, Request, Spec, event, patterns, request, spec_named, spec_of

for _module in (
    *pkgutil.walk_packages(mediq.messages.__path__, "mediq.messages."),
    *pkgutil.walk_packages(mediq.actors.__path__, "mediq.actors."),
):
    if _module.name.startswith("mediq.messages.") or _module.name.endswith("messages"):
        importlib.import_module(_module.name)

SPECS: list[Spec[Any]] = [
    spec
    for pattern in patterns()
    if (spec := spec_named(pattern)) is not None and spec.type.__module__.startswith("mediq.")
]
REQUESTS = [spec for spec in SPECS if issubclass(spec.type, Request)]
EVENTS = [spec for spec in SPECS if not issubclass(spec.type, Request)]

SERVICE_AND_VERB = re.compile(r"[a-z]+(\.[a-z]+(-[a-z]+|[A-Z][a-z]+)*)+")

by_pattern = pytest.mark.parametrize("spec", SPECS, ids=[spec.pattern for spec in SPECS])
by_request = pytest.mark.parametrize("spec", REQUESTS, ids=[spec.pattern for spec in REQUESTS])


def test_the_application_has_requests_and_events() -> None:
    assert len(REQUESTS) > 20
    assert len(EVENTS) > 10


@by_pattern
def test_every_pattern_is_a_service_and_a_verb(spec: Spec[Any]) -> None:
    assert SERVICE_AND_VERB.fullmatch(spec.pattern)


@by_pattern
def test_every_message_is_frozen(spec: Spec[Any]) -> None:
    assert issubclass(spec.type, msgspec.Struct)
    assert spec.type.__struct_config__.frozen


@by_request
def test_every_request_is_addressed_to_a_service_of_the_application(spec: Spec[Any]) -> None:
    assert spec.service in {"gateway", "user", "audit", "ocr", "reader", "queue"}


@by_request
def test_every_request_refuses_fields_that_it_does_not_know(spec: Spec[Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        spec.decode(msgspec.msgpack.encode({"no_such_field": 1}))


@by_request
def test_every_request_names_a_reply_that_can_be_read(spec: Spec[Any]) -> None:
    assert spec.decode_reply is not None
    with pytest.raises(msgspec.ValidationError):
        spec.decode_reply(msgspec.msgpack.encode("no reply is a bare string"))


@by_request
def test_every_request_is_found_by_its_class(spec: Spec[Any]) -> None:
    assert spec_of(spec.type) is spec


@pytest.mark.parametrize("spec", EVENTS, ids=[spec.pattern for spec in EVENTS])
def test_events_have_neither_service_nor_reply(spec: Spec[Any]) -> None:
    assert (spec.service, spec.reply, spec.decode_reply, spec.idempotent) == ("", None, None, True)


def test_patterns_are_listed_once_and_sorted() -> None:
    assert patterns() == sorted(set(patterns()))


class Answer(msgspec.Struct):
    text: str


def test_the_first_word_of_a_pattern_is_the_service_unless_one_is_given() -> None:
    @request("test.registry-plain")
    class Plain(Request[Answer], frozen=True, kw_only=True): ...

    @request("test.registry-elsewhere", service="elsewhere", idempotent=True)
    class Elsewhere(Request[Done], frozen=True, kw_only=True): ...

    plain, elsewhere = spec_of(Plain), spec_of(Elsewhere)
    assert (plain.service, plain.idempotent, plain.reply) == ("test", False, Answer)
    assert (elsewhere.service, elsewhere.idempotent, elsewhere.reply) == ("elsewhere", True, Done)
    assert spec_named("test.registry-plain") is plain
    assert plain.decode_reply is not None
    assert plain.decode_reply(msgspec.msgpack.encode(Answer("a"))) == Answer("a")


def test_the_reply_may_be_generic_and_the_request_have_other_bases() -> None:
    item = TypeVar("item")

    class Several(msgspec.Struct, Generic[item]):
        data: list[item]

    class Fields(msgspec.Struct, frozen=True, kw_only=True):
        nama: str

    @request("test.registry-mixed")
    class Mixed(Request[Several[Answer]], Fields, frozen=True, kw_only=True): ...

    spec = spec_of(Mixed)
    assert spec.reply == Several[Answer]
    assert spec.decode_reply is not None
    assert spec.decode_reply(msgspec.msgpack.encode({"data": [{"text": "a"}]})) == Several([Answer("a")])


def test_a_pattern_is_registered_once() -> None:
    @request("test.registry-taken")
    class First(Request[Done], frozen=True, kw_only=True): ...

    with pytest.raises(ValueError, match=r"test\.registry-taken is registered twice"):

        @request("test.registry-taken")
        class Second(Request[Done], frozen=True, kw_only=True): ...

    with pytest.raises(ValueError, match="registered twice"):

        @event("test.registry-taken")
        class Third(Event, frozen=True, kw_only=True): ...

    assert spec_named("test.registry-taken") is spec_of(First)


def test_a_request_that_names_no_reply_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Bare must subclass Request\[\.\.\.\]"):

        @request("test.registry-bare")
        class Bare(Request, frozen=True, kw_only=True): ...  # type: ignore[type-arg]

    with pytest.raises(TypeError, match="Stranger must subclass"):

        @request("test.registry-stranger")
        class Stranger(msgspec.Struct): ...

    assert spec_named("test.registry-bare") is None
    assert spec_named("test.registry-stranger") is None


def test_one_event_may_have_several_patterns() -> None:
    @event("test.registry-this")
    @event("test.registry-that")
    class Both(Event, frozen=True, kw_only=True):
        text: str

    for pattern in ("test.registry-this", "test.registry-that"):
        spec = spec_named(pattern)
        assert spec is not None
        assert spec.decode(msgspec.msgpack.encode(Both(text="x"))) == Both(text="x")


def test_an_unregistered_pattern_is_unknown() -> None:
    assert spec_named("test.registry-never") is None
    with pytest.raises(KeyError):
        spec_of(Answer)
