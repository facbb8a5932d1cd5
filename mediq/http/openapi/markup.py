"""Texts and schemas of the document as HTML."""

import html
import json
import re
from typing import Any, Final

from markupsafe import Markup

_CODE: Final = re.compile(r"`([^`]+)`")
_ITEM: Final = re.compile(r"(?:^|\n)- ")
_BLANK_LINE: Final = re.compile(r"\n\s*\n")


def inline(text: str) -> Markup:
    """Text with `code` in it, to stand inside a line."""
    return Markup(_CODE.sub(r"<code>\1</code>", html.escape(text, quote=False)))  # noqa: S704 - escaped just here


def paragraphs(text: str) -> Markup:
    """Text with blank lines between its paragraphs, `code` and lists in it."""
    return Markup().join(_paragraph(each) for each in _BLANK_LINE.split(text) if each)


def _paragraph(text: str) -> Markup:
    first, *items = _ITEM.split(text)
    if not items:
        return Markup("<p>{}</p>").format(inline(first))
    return Markup("<ul>{}</ul>").format(Markup().join(Markup("<li>{}</li>").format(inline(item)) for item in items))


def type_in_words(schema: dict[str, Any]) -> Markup:
    """A schema in a few words, such as `[text]` or `number, 1 to 100`. Named types are links to their description."""
    if "$ref" in schema:
        return Markup('<a href="#type-{0}">{0}</a>').format(type_name(schema["$ref"].rpartition("/")[2]))
    if "anyOf" in schema:
        return Markup(" | ").join(type_in_words(option) for option in schema["anyOf"])
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    match schema.get("type"):
        case "array":
            return Markup("[{}]").format(type_in_words(schema.get("items", {})))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return Markup("{{text: {}}}").format(type_in_words(schema["additionalProperties"]))
        case "string":
            words = schema.get("format", "text")
            return Markup("{}").format(_bounded(words, schema.get("minLength"), schema.get("maxLength")))
        case "integer" | "number":
            return Markup("{}").format(_bounded("number", schema.get("minimum"), schema.get("maximum")))
        case other:
            return Markup("{}").format(other or "any")


def type_name(component: str) -> str:
    """A component's name for people and addresses: `Page-User` for `Page_User_`, the schema of `Page[User]`."""
    return component.strip("_").replace("_", "-")


def _bounded(words: str, least: int | None, most: int | None) -> str:
    if most is None:
        return f"{words}, ≥ {least}" if least else words
    return f"{words}, {least or 0} to {most}"
