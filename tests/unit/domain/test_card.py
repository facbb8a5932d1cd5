"""The reading of a card: when it is certain, and how it travels."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.domain.card import FIELDS, KEY_FIELDS, REFUSALS, Box, Field, Reading, Refusal, parse_date


def field(value: str = "x", *, certain: bool = True) -> Field:
    return Field(value=value, confidence=0.99 if certain else 0.4, certain=certain)


def test_a_reading_is_certain_if_all_its_key_fields_are() -> None:
    fields = {name: field() for name in KEY_FIELDS} | {"alamat": field(certain=False)}
    assert Reading(is_ktp=True, fields=fields).certain
    assert not Reading(is_ktp=False, reason=Refusal.SIM, fields=fields).certain
    for name in KEY_FIELDS:
        assert not Reading(is_ktp=True, fields=fields | {name: field(certain=False)}).certain
        assert not Reading(is_ktp=True, fields={k: v for k, v in fields.items() if k != name}).certain


def test_every_refusal_has_a_sentence() -> None:
    assert set(REFUSALS) == set(Refusal)
    assert all(sentence.endswith(".") for sentence in REFUSALS.values())


def test_the_card_has_seventeen_fields_and_key_fields_are_among_them() -> None:
    assert set(KEY_FIELDS) < set(FIELDS)
    assert len(set(FIELDS)) == len(FIELDS) == 17


def test_a_reading_survives_json() -> None:
    reading = Reading(
        is_ktp=True,
        fields={"nik": Field(value="3171", confidence=0.5, certain=False, box=Box(1, 2, 3, 4))},
        warnings=("buram",),
        elapsed_ms=12,
    )
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading


@given(st.dates(date(1000, 1, 1)))
def test_a_printed_date_is_parsed(born: date) -> None:
    assert parse_date(f"{born.day:02}-{born.month:02}-{born.year}") == born


@pytest.mark.parametrize("text", ["", "31-02-1990", "1990-01-31", "31/01/1990", "31-01-1990 ", "SEUMUR HIDUP", "-"])
def test_another_text_is_no_date(text: str) -> None:
    assert parse_date(text) is None
