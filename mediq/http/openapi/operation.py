"""One row of the route table as an operation of the document."""

import inspect
import re
from typing import Any, Final

from mediq.actors.cards.messages import CardResult
from mediq.actors.users.auth_messages import SignedIn
from mediq.http import cookie
from mediq.http.idempotency_keys import LIMIT as KEY_LIMIT
from mediq.http.openapi import error_codes as refusals
from mediq.http.openapi.examples import Samples, Schema
from mediq.http.routes import Body, Cookie, Route
from mediq.messages.registry import spec_of

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_LIMITS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_PATH: Final = re.compile(r"\{(\w+)\}")
_UPLOAD: Final = "ktp_image"
_PICTURES: Final = "image/jpeg, image/png, application/pdf"
_FORM: Final = {"image_id": _UPLOAD}
"""What a form calls a field of the message."""
_COOKIE: Final = {
    Cookie.GIVE: "For our own pages: the browser keeps the session in a cookie, and no script is told the tokens.",
    Cookie.TAKE: "For our own pages: the browser's cookie is taken away.",
}


class Operations:
    """Makes operations over the `schemas` of the types that the routes speak of, by their `repr`."""

    headers: Final = {
        "X-Request-Id": {"description": "The request's id, as in the log.", "schema": _TEXT},
        "RateLimit-Limit": {"description": "How many calls the window allows.", "schema": _COUNT},
        "RateLimit-Remaining": {"description": "How many of them are left.", "schema": _COUNT},
        "RateLimit-Reset": {"description": "In how many seconds the window ends.", "schema": _COUNT},
        "Retry-After": {
            "description": "In how many seconds to ask again.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {"description": "That a bearer token is wanted.", "schema": _TEXT},
        "Location": {"description": "Where the result will be.", "schema": _TEXT},
        "Preference-Applied": {"description": "How long was waited, at most.", "schema": _TEXT},
        "Set-Cookie": {"description": "Gives the browser its session's cookie, or takes it away.", "schema": _TEXT},
        "Content-Disposition": {"description": "The file's name.", "schema": _TEXT},
    }
    parameters: Final = {
        "Idempotency-Key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes repeating safe: the same body does nothing again, another is refused.",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LIMIT},
            "example": "9b2f6c1e-4d0a-4c57-8f3e-2a1b0c9d8e7f",
        },
        "Prefer": {
            "name": "Prefer",
            "in": "header",
            "description": "`wait=10` waits so many seconds, at most 30, for the card's result (RFC 7240).",
            "schema": _TEXT,
            "example": "wait=10",
        },
        "Last-Event-ID": {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event seen: what was missed comes first.",
            "schema": _TEXT,
            "example": "128",
        },
    }
    security: Final = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token."},
        "refresh": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A refresh token."},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie.NAME,
            "description": "A browser's session; what changes something must come from one of our own pages.",
        },
    }

    def __init__(self, components: dict[str, Schema], schemas: dict[str, Schema], samples: Samples) -> None:
        self._components = components
        self._schemas = schemas
        self._samples = samples

    def schema(self, type_: Any) -> Schema:
        """The schema of a type."""
        return self._schemas[repr(type_)]

    def of(self, route: Route) -> dict[str, Any]:
        """What the document says of a route."""
        spec = spec_of(route.message)
        operation: dict[str, Any] = {
            "operationId": f"{spec.pattern}.cookie" if route.cookie else spec.pattern,
            "tags": ["operations" if spec.service == "gateway" else route.path.split("/")[1].partition(".")[0]],
            **described(route.message),
            "security": _security(route),
            "responses": self._answers(route, spec.reply) | refusals.responses(refusals.codes_of(route)),
        }
        if parameters := self._parameters(route):
            operation["parameters"] = parameters
        if route.body in (Body.JSON, Body.CARD) and (body := self._body(route)):
            operation["requestBody"] = body
        if route.cookie is not None:
            operation["description"] = _COOKIE[route.cookie]
        if route.who is not None:
            operation["x-roles"] = sorted(route.who)
        return operation

    def answer(self, schema: Schema, *, headers: tuple[str, ...] = (), description: str = "") -> dict[str, Any]:
        """A JSON answer with an example."""
        content = {"application/json": {"schema": schema, "example": self._samples.answered(schema)}}
        return self.response(content, headers=headers, description=description or self._meaning(schema))

    def response(self, content: dict[str, Any], *, headers: tuple[str, ...] = (), description: str) -> dict[str, Any]:
        """An answer that is no error."""
        named = ("X-Request-Id", *headers)
        return {
            "description": description,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in named},
            "content": content,
        }

    def _answers(self, route: Route, reply: Any) -> dict[str, Any]:
        headers = _LIMITS if route.cookie is None else (*_LIMITS, "Set-Cookie")
        if route.body is Body.CARD:
            waited = "The card's result: it was waited for, and came in time."
            return {
                "200": self.answer(
                    self.schema(CardResult), headers=(*headers, "Location", "Preference-Applied"), description=waited
                ),
                "202": self.answer(
                    self.schema(reply),
                    headers=(*headers, "Location"),
                    description="The picture is stored, and will be read.",
                ),
            }
        schema = self.schema(SignedIn if route.cookie is Cookie.GIVE else reply)
        if (media_type := schema.get("contentMediaType")) is not None:
            binary = not media_type.startswith("text/")
            content = {media_type: {"schema": {"type": "string"} | ({"format": "binary"} if binary else {})}}
            if not binary:
                headers = (*headers, "Content-Disposition")
            return {str(route.status): self.response(content, headers=headers, description="The file.")}
        return {str(route.status): self.answer(schema, headers=headers)}

    def _meaning(self, schema: Schema) -> str:
        named = self._components.get(schema.get("$ref", "").rpartition("/")[2], {})
        return inspect.cleandoc(named.get("description", "")).partition("\n\n")[0] or "Done."

    def _parameters(self, route: Route) -> list[dict[str, Any]]:
        message = self._message(route)
        in_path = _PATH.findall(route.path)
        found = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"minLength": 1} | message["properties"][name],
                "example": self._samples.field(route.message.__name__, name, message["properties"][name]),
            }
            for name in in_path
        ]
        if route.body is Body.QUERY:
            required = message.get("required", ())
            found += [
                {"name": name, "in": "query", "required": name in required, "schema": _sendable(schema)}
                for name, schema in message["properties"].items()
                if name not in in_path
            ]
        if route.body is Body.CARD:
            found.append({"$ref": "#/components/parameters/Prefer"})
        if route.keyed:
            found.append({"$ref": "#/components/parameters/Idempotency-Key"})
        return found

    def _body(self, route: Route) -> dict[str, Any]:
        """What is sent in the body: the message without what its address says."""
        message = self._message(route)
        in_path = _PATH.findall(route.path)
        form = route.body is Body.CARD
        properties = {
            _FORM.get(name, name) if form else name: _sendable(schema) if form else schema
            for name, schema in message["properties"].items()
            if name not in in_path
        }
        if not properties:
            return {}
        required = [_FORM.get(name, name) for name in message.get("required", ()) if name not in in_path]
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        example = {
            name: each for name, each in self._samples.sent(self.schema(route.message)).items() if name in properties
        }
        if form:
            properties[_UPLOAD] = {"type": "string", "format": "binary", "description": "A photo or scan of the card."}
            content = {"schema": schema, "encoding": {_UPLOAD: {"contentType": _PICTURES}}}
            return {"required": True, "content": {"multipart/form-data": content}}
        return {"required": bool(required), "content": {"application/json": {"schema": schema, "example": example}}}

    def _message(self, route: Route) -> Schema:
        return self._components[self.schema(route.message)["$ref"].rpartition("/")[2]]


def described(thing: Any) -> dict[str, str]:
    """Summary and description of what a docstring says."""
    summary, _, rest = (inspect.getdoc(thing) or "").partition("\n\n")
    summary = " ".join(summary.split())
    return {"summary": summary} | ({"description": rest} if rest else {})


def _sendable(schema: Schema) -> Schema:
    """A schema for where nothing stands for null: in a query or a form it is left out."""
    if "anyOf" not in schema:
        return schema
    told = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return told[0] if len(told) == 1 else {"anyOf": told}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.body is Body.REFRESH_TOKEN:
        return [{"refresh": []}]
    if route.signs_in:
        return []
    signed_in: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
    return signed_in if route.who is not None else [{}, *signed_in]
