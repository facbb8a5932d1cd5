"""The document as the page at `/docs` shows it: operations by tag, types and error codes."""

import json
import re
from typing import Any, Final

import msgspec
from markupsafe import Markup

from mediq.http.openapi.curl import curl_command
from mediq.http.openapi.error_codes import CODES, URN
from mediq.http.openapi.markup import inline, paragraphs, type_in_words, type_name

_REFERENCE: Final = re.compile(r"#/components/(\w+)/(.+)")


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """A field or a parameter. `place` is where a parameter stands: `path`, `query` or `header`."""

    name: str
    type: Markup
    place: str = ""
    required: bool = False
    about: Markup = Markup()


class ResponseView(msgspec.Struct, frozen=True, kw_only=True):
    """A response: the type of its body with an example, or the codes of an error."""

    status: str
    about: Markup
    type: Markup = Markup()
    example: str = ""
    codes: tuple[str, ...] = ()


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """An operation. `roles` are those that may call it, empty for anyone. `errors` are the responses with codes."""

    id: str
    method: str
    path: str
    summary: Markup
    about: Markup
    roles: tuple[str, ...]
    parameters: tuple[FieldView, ...]
    body: tuple[FieldView, ...]
    curl: str
    successes: tuple[ResponseView, ...]
    errors: tuple[ResponseView, ...]


class TagView(msgspec.Struct, frozen=True, kw_only=True):
    """A tag and its operations."""

    name: str
    about: Markup
    operations: tuple[OperationView, ...]


class TypeView(msgspec.Struct, frozen=True, kw_only=True):
    """A named schema: its fields, or its type in words where it has none."""

    name: str
    title: str
    about: Markup
    fields: tuple[FieldView, ...]
    type: Markup


class HtmlView:
    """A document, given as JSON, in the parts that the template `docs.html` shows."""

    def __init__(self, document: bytes) -> None:
        tree: dict[str, Any] = msgspec.json.decode(document)
        self._components: dict[str, dict[str, Any]] = tree["components"]
        self.version: str = tree["info"]["version"]
        self.about = paragraphs(tree["info"]["description"])
        operations = [
            (tag, self._operation(path, method, operation))
            for path, methods in tree["paths"].items()
            for method, operation in methods.items()
            for tag in operation["tags"]
        ]
        self.tags = tuple(
            TagView(
                name=tag["name"],
                about=paragraphs(tag.get("description", "")),
                operations=tuple(operation for name, operation in operations if name == tag["name"]),
            )
            for tag in tree["tags"]
        )
        self.types = tuple(_type(name, schema) for name, schema in self._components["schemas"].items())
        self.codes = {code: inline(error.meaning) for of in CODES.values() for code, error in sorted(of.items())}

    def _operation(self, path: str, method: str, operation: dict[str, Any]) -> OperationView:
        parameters = [self._resolve(parameter) for parameter in operation.get("parameters", ())]
        [(media_type, body)] = operation.get("requestBody", {}).get("content", {"": {}}).items()
        responses = [_response(status, self._resolve(response)) for status, response in operation["responses"].items()]
        return OperationView(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=inline(operation["summary"]),
            about=paragraphs(operation.get("description", "")),
            roles=tuple(operation.get("x-roles", ())),
            parameters=tuple(_parameter(parameter) for parameter in parameters),
            body=_fields(body.get("schema", {})),
            curl=curl_command(path, method.upper(), operation, parameters, media_type, body.get("example")),
            successes=tuple(response for response in responses if not response.codes),
            errors=tuple(response for response in responses if response.codes),
        )

    def _resolve(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The component that `tree` refers to, or `tree` itself."""
        found = _REFERENCE.fullmatch(tree.get("$ref", ""))
        return tree if found is None else self._components[found[1]][found[2]]


def _response(status: str, response: dict[str, Any]) -> ResponseView:
    [(media_type, content)] = response["content"].items()
    schema = content["schema"]
    if media_type == "application/problem+json":
        types = schema["allOf"][1]["properties"]["type"]["enum"]
        title, _, _ = response["description"].partition("\n\n")
        return ResponseView(status=status, about=inline(title), codes=tuple(type_.removeprefix(URN) for type_ in types))
    return ResponseView(
        status=status,
        about=inline(response["description"]),
        type=type_in_words(schema) if media_type == "application/json" else Markup("{}").format(media_type),
        example=json.dumps(content["example"], indent=2, ensure_ascii=False) if "example" in content else "",
    )


def _type(name: str, schema: dict[str, Any]) -> TypeView:
    fields = _fields(schema)
    return TypeView(
        name=type_name(name),
        title=schema.get("title", name),
        about=paragraphs(schema.get("description", "")),
        fields=fields,
        type=Markup() if fields else type_in_words(schema),
    )


def _parameter(parameter: dict[str, Any]) -> FieldView:
    return FieldView(
        name=parameter["name"],
        type=type_in_words(parameter["schema"]),
        place=parameter["in"],
        required=parameter.get("required", False),
        about=paragraphs(parameter.get("description", "")),
    )


def _fields(schema: dict[str, Any]) -> tuple[FieldView, ...]:
    required = schema.get("required", ())
    return tuple(
        FieldView(
            name=name,
            type=type_in_words(field),
            required=name in required,
            about=paragraphs(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    )
