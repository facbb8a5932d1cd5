"""Converts request data to a message, and msgspec's errors to words that a clinic understands."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from mediq.messages.errors import FieldError, Invalid

M = TypeVar("M", bound=msgspec.Struct)

_WORDS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(r"missing required field"), lambda m: "wajib diisi"),
    (re.compile(r"contains unknown field"), lambda m: "tidak dikenal"),
    (re.compile(r"`str` of length >= 1\b"), lambda m: "tidak boleh kosong"),
    (re.compile(r"`str` of length >= (\d+)"), lambda m: f"paling sedikit {m[1]} huruf"),
    (re.compile(r"`str` of length <= (\d+)"), lambda m: f"paling banyak {m[1]} huruf"),
    (re.compile(r"`str` matching regex .*\{16\}"), lambda m: "tidak boleh memuat NIK"),
    (re.compile(r"`str` matching regex"), lambda m: "bentuknya tidak benar"),
    (re.compile(r"`int` >= (-?\d+)"), lambda m: f"paling kecil {m[1]}"),
    (re.compile(r"`int` <= (-?\d+)"), lambda m: f"paling besar {m[1]}"),
    (re.compile(r"Invalid enum value (.+?)(?: - at|$)"), lambda m: f"{m[1]} bukan pilihan yang ada"),
    (re.compile(r"Invalid RFC3339 encoded time"), lambda m: "harus jam JJ:MM:DD"),
    (re.compile(r"Invalid RFC3339|Invalid date"), lambda m: "harus tanggal TTTT-BB-HH"),
    (re.compile(r"Expected `int"), lambda m: "harus bilangan bulat"),
    (re.compile(r"Expected `str"), lambda m: "harus teks"),
    (re.compile(r"Expected `object"), lambda m: "harus berupa objek"),
    (re.compile(r"Expected `bool"), lambda m: "harus true atau false"),
]
_PATH = re.compile(r" - at `\$\.?(.*?)`$")
_NAMED = re.compile(r"field `([^`]+)`")


def convert(tree: dict[str, Any], message: type[M], *, strict: bool) -> M:
    """Convert plain values to a message; without `strict`, texts may stand for numbers and dates.

    Raises:
        Invalid: with the name of the first wrong field.
    """
    try:
        converted = msgspec.convert(tree, message, strict=strict)
    except msgspec.ValidationError as error:
        field, words = explain(str(error))
        raise Invalid(f"{field}: {words}" if field else words, errors=[FieldError(field, words)]) from None
    if not strict:
        _refuse_null_texts(converted, tree)
    return converted


def _refuse_null_texts(converted: msgspec.Struct, tree: dict[str, Any]) -> None:
    """In a URL the text `null` is a text like any other; an absent value is left out."""
    for field, name in zip(converted.__struct_fields__, converted.__struct_encode_fields__, strict=True):
        if name in tree and getattr(converted, field) is None:
            raise Invalid.field(name, "isinya tidak benar")


def explain(message_text: str) -> tuple[str, str]:
    """The field and the description for an error message of msgspec."""
    path = match[1] if (match := _PATH.search(message_text)) else ""
    if named := _NAMED.search(message_text):
        path = f"{path}.{named[1]}" if path else named[1]
    for pattern, words in _WORDS:
        if match := pattern.search(message_text):
            return path, words(match)
    return path, "isinya tidak benar"
