"""Describes one row of the route table as an operation of the document."""

import inspect
import re
from typing import Any, Final

from mediq.actors.cards.messages import CardResult
from mediq.actors.users.auth_messages import SignedIn
from mediq.http.openapi import components, error_codes
from mediq.http.openapi.examples import Examples
from mediq.http.openapi.schemas import Schema, Schemas
from mediq.http.routes import Body, Cookie, Route
from mediq.messages.registry import spec_of

_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_UPLOAD: Final = "ktp_image"
_UPLOAD_TYPES: Final = "image/jpeg, image/png, application/pdf"
_FORM_NAMES: Final = {"image_id": _UPLOAD}
"""What a form calls a field of the message, where the two names differ."""
_COOKIE: Final = {
    Cookie.GIVE: "For our own pages: the browser keeps the session in a cookie, and no script sees the tokens.",
    Cookie.TAKE: "For our own pages: the session cookie is removed from the browser.",
}


class OperationBuilder:
    """Describes routes in terms of `schemas`, and shows what to send and expect with `examples`."""

    def __init__(self, schemas: Schemas, examples: Examples) -> None:
        self._schemas = schemas
        self._examples = examples

    def operation(self, route: Route) -> dict[str, Any]:
        """The operation of a route."""
        spec = spec_of(route.message)
        responses = self._success(route, spec.reply) | error_codes.responses(error_codes.codes_of(route))
        operation: dict[str, Any] = {
            "operationId": f"{spec.pattern}.cookie" if route.cookie else spec.pattern,
            "tags": ["operations" if spec.service == "gateway" else route.path.split("/")[1].partition(".")[0]],
            **_summary(route.message),
            "security": _security(route),
            "responses": responses,
        }
        if parameters := self._parameters(route):
            operation["parameters"] = parameters
        if body := self._body(route):
            operation["requestBody"] = body
        if route.cookie is not None:
            operation["description"] = _COOKIE[route.cookie]
        if route.who is not None:
            operation["x-roles"] = sorted(route.who)
        return operation

    def schema(self, type_: Any) -> Schema:
        """The schema of a type."""
        return self._schemas.of(type_)

    def json_response(self, schema: Schema, *headers: str, description: str = "") -> dict[str, Any]:
        """A JSON response with an example. Without a `description` the schema's own first sentence describes it."""
        content = {"application/json": {"schema": schema, "example": self._examples.response(schema)}}
        return response(content, *headers, description=description or self._first_sentence(schema))

    def _success(self, route: Route, reply: Any) -> dict[str, Any]:
        """The responses that are no errors, by status."""
        headers = (
            components.RATE_LIMIT_HEADERS if route.cookie is None else (*components.RATE_LIMIT_HEADERS, "Set-Cookie")
        )
        if route.body is Body.CARD:
            result, accepted = self.schema(CardResult), self.schema(reply)
            read = "The card's result, which came within the time that the caller wanted to wait."
            stored = "The picture is stored and will be read."
            return {
                "200": self.json_response(result, *headers, "Location", "Preference-Applied", description=read),
                "202": self.json_response(accepted, *headers, "Location", description=stored),
            }
        schema = self.schema(SignedIn if route.cookie is Cookie.GIVE else reply)
        media_type = schema.get("contentMediaType")
        if media_type is None:
            return {str(route.status): self.json_response(schema, *headers)}
        if media_type.startswith("text/"):
            content, headers = {media_type: {"schema": components.TEXT}}, (*headers, "Content-Disposition")
        else:
            content = {media_type: {"schema": components.TEXT | {"format": "binary"}}}
        return {str(route.status): response(content, *headers, description="The file.")}

    def _first_sentence(self, schema: Schema) -> str:
        described = self._schemas.resolve(schema).get("description", "")
        return inspect.cleandoc(described).partition("\n\n")[0] or "Done."

    def _parameters(self, route: Route) -> list[dict[str, Any]]:
        message = self._message(route)
        in_path = _PATH_PARAMETER.findall(route.path)
        found: list[dict[str, Any]] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"minLength": 1} | message["properties"][name],
                "example": self._examples.request(message["properties"][name]),
            }
            for name in in_path
        ]
        if route.body is Body.QUERY:
            required = message.get("required", ())
            found += [
                {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
                for name, schema in message["properties"].items()
                if name not in in_path
            ]
        if route.body is Body.CARD:
            found.append(components.parameter("Prefer"))
        if route.keyed:
            found.append(components.parameter("Idempotency-Key"))
        return found

    def _body(self, route: Route) -> dict[str, Any]:
        """The request body: the fields of the message that are not in the path. Empty if there are none."""
        in_path = _PATH_PARAMETER.findall(route.path)
        message = self._message(route)
        properties = {name: schema for name, schema in message["properties"].items() if name not in in_path}
        required = [name for name in message.get("required", ()) if name not in in_path]
        if not properties or route.body not in (Body.JSON, Body.CARD):
            return {}
        if route.body is Body.CARD:
            fields = {_FORM_NAMES.get(name, name): _without_null(schema) for name, schema in properties.items()}
            fields[_UPLOAD] = {"type": "string", "format": "binary", "description": "A photo or scan of the card."}
            schema = _object(fields, [_FORM_NAMES.get(name, name) for name in required])
            content = {"schema": schema, "encoding": {_UPLOAD: {"contentType": _UPLOAD_TYPES}}}
            return {"required": True, "content": {"multipart/form-data": content}}
        example = self._examples.request(self.schema(route.message))
        content = {
            "schema": _object(properties, required),
            "example": {name: value for name, value in example.items() if name in properties},
        }
        return {"required": bool(required), "content": {"application/json": content}}

    def _message(self, route: Route) -> Schema:
        return self._schemas.resolve(self.schema(route.message))


def response(content: dict[str, Any], *headers: str, description: str) -> dict[str, Any]:
    """A response that is no error, with the names of its headers."""
    return {"description": description, "headers": components.headers(*headers), "content": content}


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _summary(message: type) -> dict[str, str]:
    """Summary and description from a message's docstring, or its pattern where `python -OO` has stripped docstrings."""
    text = inspect.cleandoc(message.__doc__) if message.__doc__ else spec_of(message).pattern
    summary, _, rest = text.partition("\n\n")
    summary = " ".join(summary.split())
    return {"summary": summary} | ({"description": rest} if rest else {})


def _without_null(schema: Schema) -> Schema:
    """The schema for a query or a form, which cannot say null: a value is left out there instead."""
    if "anyOf" not in schema:
        return schema
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.body is Body.REFRESH_TOKEN:
        return [{"refresh": []}]
    if route.signs_in:
        return []
    signed_in: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
    return signed_in if route.who is not None else [{}, *signed_in]
