"""The document as people read it: calls by section, types and codes, for the page at `/docs`."""

import html
import json
import re
import shlex
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from markupsafe import Markup

from mediq.http.openapi.error_codes import MEANINGS, PREFIX

_CODE: Final = re.compile(r"`([^`]+)`")
_REF: Final = re.compile(r"#/components/(\w+)/(.+)")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A field or a parameter: `kind` is its type in words."""

    name: str
    kind: Markup
    where: str = ""
    required: bool = False
    about: Markup = Markup()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One status: what it holds and an example, or the codes of a refusal."""

    status: str
    about: Markup
    kind: Markup = Markup()
    example: str = ""
    codes: tuple[str, ...] = ()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `who` are the roles that may call it, empty for anyone."""

    id: str
    method: str
    path: str
    summary: Markup
    about: Markup
    who: tuple[str, ...]
    parameters: tuple[Row, ...]
    body: tuple[Row, ...]
    example: str
    curl: str
    answers: tuple[Answer, ...]

    @property
    def refused(self) -> tuple[Answer, ...]:
        """The answers that are refusals or faults."""
        return tuple(answer for answer in self.answers if answer.codes)

    @property
    def given(self) -> tuple[Answer, ...]:
        """The answers that are none."""
        return tuple(answer for answer in self.answers if not answer.codes)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one tag."""

    tag: str
    about: Markup
    calls: tuple[Call, ...]


class Type(msgspec.Struct, frozen=True, kw_only=True):
    """A named schema: its fields, or its kind where it has none."""

    id: str
    name: str
    about: Markup
    fields: tuple[Row, ...]
    kind: Markup = Markup()


class Reading:
    """A document, taken apart for reading."""

    def __init__(self, document: bytes) -> None:
        self._document: dict[str, Any] = msgspec.json.decode(document)
        self.version: str = self._document["info"]["version"]
        self.about = prose(self._document["info"]["description"])
        self.sections = tuple(self._section(tag) for tag in self._document["tags"])
        schemas = self._document["components"]["schemas"]
        self.types = tuple(self._type(name, schema) for name, schema in schemas.items())
        self.codes = {code: prose(text) for codes in MEANINGS.values() for code, text in sorted(codes.items())}

    def _section(self, tag: dict[str, str]) -> Section:
        calls = (
            self._call(path, method, operation)
            for path, of_path in self._document["paths"].items()
            for method, operation in of_path.items()
            if tag["name"] in operation["tags"]
        )
        return Section(tag=tag["name"], about=prose(tag.get("description", "")), calls=tuple(calls))

    def _call(self, path: str, method: str, operation: dict[str, Any]) -> Call:
        parameters = [self._resolved(each) for each in operation.get("parameters", ())]
        [(media_type, body)] = operation.get("requestBody", {}).get("content", {"": {}}).items()
        return Call(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=prose(operation["summary"], block=False),
            about=prose(operation.get("description", "")),
            who=tuple(operation.get("x-roles", ())),
            parameters=tuple(
                Row(
                    name=each["name"],
                    kind=kind(each["schema"]),
                    where=each["in"],
                    required=each.get("required", False),
                    about=prose(each.get("description", "")),
                )
                for each in parameters
            ),
            body=_fields(body.get("schema", {})),
            example=_shown(body.get("example")),
            curl=_curl(path, method.upper(), operation, parameters, media_type, body),
            answers=tuple(
                self._answer(status, self._resolved(answer)) for status, answer in operation["responses"].items()
            ),
        )

    def _answer(self, status: str, answer: dict[str, Any]) -> Answer:
        [(media_type, content)] = answer["content"].items()
        schema = content["schema"]
        if media_type == "application/problem+json":
            codes = schema["allOf"][1]["properties"]["type"]["enum"]
            about = prose(answer["description"].partition("\n\n")[0], block=False)
            return Answer(status=status, about=about, codes=tuple(code.removeprefix(PREFIX) for code in codes))
        return Answer(
            status=status,
            about=prose(answer["description"], block=False),
            kind=kind(schema) if media_type == "application/json" else Markup("{}").format(media_type),
            example=_shown(content.get("example")),
        )

    def _resolved(self, tree: dict[str, Any]) -> dict[str, Any]:
        if (found := _REF.fullmatch(tree.get("$ref", ""))) is None:
            return tree
        resolved: dict[str, Any] = self._document["components"][found[1]][found[2]]
        return resolved

    def _type(self, name: str, schema: dict[str, Any]) -> Type:
        fields = _fields(schema)
        return Type(
            id=_anchor(name),
            name=schema.get("title", name).strip("_"),
            about=prose(schema.get("description", "")),
            fields=fields,
            kind=Markup() if fields else kind(schema),
        )


def prose(text: str, *, block: bool = True) -> Markup:
    """Text with `code` and lists in it, as HTML; without `block`, inside a line."""
    if not block:
        return Markup(_CODE.sub(r"<code>\1</code>", html.escape(text, quote=False)))  # noqa: S704 - escaped just here
    parts: list[Markup] = []
    for part in filter(None, re.split(r"\n\s*\n", text)):
        items = re.split(r"(?:^|\n)- ", part)
        if len(items) > 1:
            listed = Markup().join(Markup("<li>{}</li>").format(prose(item, block=False)) for item in items[1:])
            parts.append(Markup("<ul>{}</ul>").format(listed))
        else:
            parts.append(Markup("<p>{}</p>").format(prose(part, block=False)))
    return Markup().join(parts)


def kind(schema: dict[str, Any]) -> Markup:
    """A schema in a few words, with links to what has a name."""
    if (found := _REF.fullmatch(schema.get("$ref", ""))) is not None:
        return Markup('<a href="#type-{0}">{0}</a>').format(_anchor(found[2]))
    if "anyOf" in schema:
        return Markup(" | ").join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    match schema.get("type"):
        case "array":
            return Markup("[{}]").format(kind(schema.get("items", {})))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return Markup("{{text: {}}}").format(kind(schema["additionalProperties"]))
        case "string":
            return Markup("{}").format(_bounded(schema.get("format", "text"), schema, "Length"))
        case "integer" | "number":
            return Markup("{}").format(_bounded("number", schema, "imum"))
        case other:
            return Markup("{}").format(other or "any")


def _anchor(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _bounded(word: str, schema: dict[str, Any], of: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if most is None:
        return word if least in (None, 0) else f"{word}, ≥ {least}"
    return f"{word}, {least or 0} to {most}"


def _fields(schema: dict[str, Any]) -> tuple[Row, ...]:
    required = schema.get("required", ())
    return tuple(
        Row(name=name, kind=kind(of), required=name in required, about=prose(of.get("description", "")))
        for name, of in schema.get("properties", {}).items()
    )


def _shown(example: Any) -> str:
    return "" if example is None else json.dumps(example, indent=2, ensure_ascii=False)


def _curl(
    path: str,
    method: str,
    operation: dict[str, Any],
    parameters: Iterable[dict[str, Any]],
    media_type: str,
    body: dict[str, Any],
) -> str:
    for each in parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each["example"]))
    schemes = [scheme for scheme in operation["security"] if scheme]
    cookie = operation["operationId"].endswith(".cookie")
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}$URL{path}"]
    if any("refresh" in scheme for scheme in schemes):
        lines.append('-H "Authorization: Bearer $REFRESH"')
    elif cookie:
        lines += ['-H "Origin: $URL"', "-b cookies -c cookies"]
    elif "x-roles" in operation:
        lines.append('-H "Authorization: Bearer $ACCESS"')
    answers = operation["responses"]
    if "text/event-stream" in answers.get("200", {}).get("content", {}):
        lines.append("-N")
    if "image/jpeg" in answers.get("200", {}).get("content", {}):
        lines.append("-o kartu.jpg")
    if media_type == "multipart/form-data":
        lines += ["-H 'Prefer: wait=20'", "-F ktp_image=@kartu.jpg"]
    elif body.get("example"):
        lines += [f"-H 'Content-Type: {media_type}'", f"-d {shlex.quote(json.dumps(body['example']))}"]
    return " \\\n  ".join(lines)
