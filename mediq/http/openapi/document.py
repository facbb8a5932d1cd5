"""The whole document, put together from the route table, the messages, and what the gateway serves beside them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, Final

import msgspec

from mediq.actors.cards.messages import CardResult
from mediq.actors.users.auth_messages import SignedIn
from mediq.http.openapi import extra_routes as beside
from mediq.http.openapi.examples import Samples, Schema
from mediq.http.openapi.operation import Operations
from mediq.http.problem import Problem
from mediq.http.routes import Route
from mediq.messages.registry import spec_of

_REF: Final = "#/components/schemas/{name}"
_TAGS: Final = {
    "auth": "Signing in and staying signed in.",
    "session": "Signing in with a browser's cookie: for our own pages.",
    "users": "Patients and staff.",
    "devices": "Kiosks: browsers that stay signed in and take cards in.",
    "ocr": "Cards: taken in, read, reviewed.",
    "queue": "Tickets, counters, statistics.",
    "clinic": "Services, counters and hours.",
    "audit": "Who did what to whom, when and why.",
    "events": "Server-Sent Events.",
    "operations": "Whether the house stands, and this document.",
}
_ABOUT: Final = """\
The front desk of a clinic: cards, patients, tickets and counters.

Sign in with `POST /auth/login/admin` or `POST /auth/login/user` and show `access_token` as a bearer. Browsers that show
our own pages use `POST /session` and a cookie that no script reads.

Every error is `application/problem+json` (RFC 9457): its `type` ends in the code of the rule that was broken,
`detail` says it in words for the front desk, and for bad input `errors` names the fields. `X-Request-Id`, which a
request may bring along (8 to 64 letters, digits, `.`, `_` and `-`), is in every answer and in the log.

Lists come as `{"data": [...], "pagination": {...}}`. Times are RFC 3339 with offset. Unknown fields are refused by
name. What is asked again under the same `Idempotency-Key` does not happen again, also after a crash; the answer is
about the same ticket, user or card, as it is now.
"""


def document(routes: Iterable[Route]) -> bytes:
    """What `/openapi.json` says of these routes and of those beside the table, as JSON."""
    routes = tuple(routes)
    types = [Problem, SignedIn, CardResult, *beside.TYPES]
    for route in routes:
        types += [route.message, spec_of(route.message).reply]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    operations = Operations(components, by_type, Samples(components))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in (*_of_table(routes, operations), *beside.operations(operations)):
        paths.setdefault(path, {})[method] = operation
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "MediQ",
            "version": version("mediq"),
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": _used(paths, components),
            "responses": _shared(paths),
            "headers": operations.headers,
            "parameters": operations.parameters,
            "securitySchemes": operations.security,
        },
    }
    return msgspec.json.encode(found)


def _of_table(routes: Iterable[Route], operations: Operations) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for route in routes:
        yield route.path, route.method.lower(), operations.of(route)


def _tags(paths: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    named = dict.fromkeys(tag for path in paths.values() for each in path.values() for tag in each["tags"])
    order = [*(tag for tag in _TAGS if tag in named), *(tag for tag in named if tag not in _TAGS)]
    return [{"name": tag} | ({"description": _TAGS[tag]} if tag in _TAGS else {}) for tag in order]


def _used(paths: dict[str, Any], components: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas that something refers to."""
    used: dict[str, Schema] = {"Problem": components["Problem"]}
    open_ends: list[Any] = [paths, used["Problem"]]
    while open_ends:
        match open_ends.pop():
            case dict() as tree:
                name = str(tree.get("$ref", "")).rpartition("/schemas/")[2]
                if name in components and name not in used:
                    used[name] = components[name]
                    open_ends.append(components[name])
                open_ends.extend(tree.values())
            case list() as items:
                open_ends.extend(items)
    return {name: used[name] for name in sorted(used)}


def _shared(paths: dict[str, Any]) -> dict[str, Any]:
    """The answers that several operations give; in `paths` they are replaced by where they are found now."""
    answers = [each["responses"] for path in paths.values() for each in path.values()]
    written = {id(one): msgspec.json.encode(one) for of in answers for one in of.values()}
    often = Counter(written[id(one)] for of in answers for one in of.values())
    names: dict[bytes, str] = {}
    shared: dict[str, Any] = {}
    for of in answers:
        for status, one in of.items():
            text = written[id(one)]
            if often[text] == 1:
                continue
            if text not in names:
                same = sum(name.partition(".")[0] == status for name in shared)
                names[text] = f"{status}.{same + 1}"
                shared[names[text]] = one
            of[status] = {"$ref": f"#/components/responses/{names[text]}"}
    return shared
