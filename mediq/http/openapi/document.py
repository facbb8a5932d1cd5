"""Builds the whole document from the route table, its messages and the routes outside the table."""

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

import msgspec

from mediq.actors.cards.messages import CardResult
from mediq.actors.users.auth_messages import SignedIn
from mediq.http.openapi import components, extra_routes
from mediq.http.openapi.examples import Examples
from mediq.http.openapi.operation import OperationBuilder
from mediq.http.openapi.schemas import Schemas
from mediq.http.problem import Problem
from mediq.http.routes import Route
from mediq.messages.registry import spec_of

_TAGS: Final = {
    "auth": "Signing in and staying signed in.",
    "session": "Signing in with a browser's cookie, for our own pages.",
    "users": "Patients and staff.",
    "devices": "Kiosks: browsers that stay signed in and take cards in.",
    "ocr": "Cards: upload, reading, review.",
    "queue": "Tickets, counters, statistics.",
    "clinic": "Services, counters and hours.",
    "audit": "Who did what to whom, when and why.",
    "events": "Server-Sent Events.",
    "operations": "The state of MediQ, and this document.",
}
_INTRODUCTION: Final = """\
The front desk of a clinic: cards, patients, tickets and counters.

Sign in with `POST /auth/login/admin` or `POST /auth/login/user` and send `access_token` as a bearer token. Browsers
that show our own pages use `POST /session` and a cookie that no script can read.

Every error is `application/problem+json` (RFC 9457). Its `type` ends in the code of the rule that was broken, and
`detail` explains it for the front desk. For bad input, `errors` names the fields. `X-Request-Id` is in every response
and in the log; a request may bring its own (8 to 64 letters, digits, `.`, `_` and `-`).

Lists come as `{"data": [...], "pagination": {...}}`. Times are RFC 3339 with an offset. Unknown fields are refused by
name. A request that is repeated under the same `Idempotency-Key` does not act again, not even after a crash. Its
response is about the same ticket, user or card, as it is now.
"""


def document(routes: Iterable[Route]) -> bytes:
    """The content of `/openapi.json` for these routes and for those outside the table, as JSON."""
    routes = tuple(routes)
    types = [Problem, SignedIn, CardResult, *extra_routes.TYPES]
    for route in routes:
        types += [route.message, spec_of(route.message).reply]
    schemas = Schemas(types)
    builder = OperationBuilder(schemas, Examples(schemas))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = builder.operation(route)
    for path, operation in extra_routes.operations(builder):
        paths[path] = {"get": operation}
    used = schemas.used_by(paths, schemas.of(Problem))
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "MediQ",
                "version": version("mediq"),
                "description": _INTRODUCTION,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "tags": _tags(paths),
            "paths": paths,
            "components": {
                "schemas": used,
                "responses": _share_responses(paths),
                "headers": components.HEADERS,
                "parameters": components.PARAMETERS,
                "securitySchemes": components.SECURITY_SCHEMES,
            },
        }
    )


def _tags(paths: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """The tags of all operations: the known ones in the order of the table, then the others."""
    used = dict.fromkeys(tag for path in paths.values() for operation in path.values() for tag in operation["tags"])
    ordered = dict.fromkeys([tag for tag in _TAGS if tag in used]) | used
    return [{"name": tag} | ({"description": _TAGS[tag]} if tag in _TAGS else {}) for tag in ordered]


def _share_responses(paths: dict[str, Any]) -> dict[str, Any]:
    """The responses that several operations give, by name. In `paths` a reference takes the place of each."""
    responses = [operation["responses"] for path in paths.values() for operation in path.values()]
    uses = Counter(msgspec.json.encode(response) for of in responses for response in of.values())
    numbers: Counter[str] = Counter()
    names: dict[bytes, str] = {}
    shared: dict[str, Any] = {}
    for of in responses:
        for status, response in of.items():
            text = msgspec.json.encode(response)
            if uses[text] == 1:
                continue
            if text not in names:
                numbers[status] += 1
                names[text] = f"{status}.{numbers[status]}"
                shared[names[text]] = response
            of[status] = {"$ref": f"#/components/responses/{names[text]}"}
    return shared
