"""Idempotency keys: the name that a request is stored under, and the fingerprint of what it asks."""

import pytest

from mediq.actors.queue.rules.commands import CallNext, OpenCounter
from mediq.domain.errors import Conflict
from mediq.domain.idempotency import derive, marked, refuse_other_use, split
from tests.fixtures.queue.journal import Journal


def test_a_marked_key_splits_into_name_and_fingerprint() -> None:
    assert split(marked("9f", "a1")) == ("9f", "a1")
    assert split("9f") == ("9f", "")


def test_each_step_of_a_marked_key_has_a_name_of_its_own() -> None:
    steps = [split(derive(marked("9f", "a1"), step)) for step in ("create", "add")]
    assert steps == [("9f:create", "a1"), ("9f:add", "a1")]


def test_keys_of_steps_are_those_that_version_0_1_0_stored() -> None:
    assert derive("job", "step") == "job:step"


def test_a_key_with_another_fingerprint_is_refused() -> None:
    refuse_other_use("a1", "a1")
    refuse_other_use(None, "")
    for first, now in (("a1", "a2"), ("a1", ""), (None, "a1")):
        with pytest.raises(Conflict) as refused:
            refuse_other_use(first, now)
        assert refused.value.code == "key-reused"


def test_the_queue_refuses_a_key_used_for_another_command() -> None:
    journal = Journal()
    first = journal.do(OpenCounter, counter="1", key="k~1", why="pagi")
    assert first.events
    assert journal.do(OpenCounter, counter="1", key="k~1", why="pagi").events == ()
    for command, fields in ((OpenCounter, {"why": "siang"}), (CallNext, {})):
        with pytest.raises(Conflict) as refused:
            journal.do(command, counter="1", key="k~2", **fields)
        assert refused.value.code == "key-reused"
