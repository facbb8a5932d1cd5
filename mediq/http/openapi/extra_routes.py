"""What the gateway serves beside the route table: event streams, and what operations need."""

from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec

from mediq.actors.cards.messages import CardStatusChanged
from mediq.actors.queue.rules import events, views
from mediq.actors.queue.rules import public_views as public
from mediq.domain.roles import Role
from mediq.http.event_feeds import BoardEvent, OperatorList
from mediq.http.openapi import error_codes as refusals
from mediq.http.openapi.operation import Operations
from mediq.http.routes import STAFF

_TEXT: Final = {"type": "string"}
_STREAM_FAULTS: Final = ("unavailable",)
_TOKEN: Final = ("unauthenticated", "token-invalid", "token-expired", "session-ended", "forbidden", "too-many")


class _Gone(msgspec.Struct):
    """The ticket's day is over."""

    detail: str


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An event stream: `says` is what its events hold, by their names."""

    path: str
    id: str
    about: str
    says: dict[str, Any]
    parameter: tuple[str, str] | None = None
    who: frozenset[Role] | None = None
    codes: tuple[str, ...] = ()


STREAMS: Final = (
    Stream(
        path="/events/board/{board}",
        id="events.board",
        about="A waiting-room board, without personal data: a snapshot first, then what happens as it happens.",
        says={"snapshot": BoardEvent}
        | {str(kind.__struct_config__.tag): BoardEvent for kind in get_args(events.Event)},
        parameter=("board", public.ALL_SERVICES[0]),
        codes=("not-found", "no-board"),
    ),
    Stream(
        path="/events/ticket/{token}",
        id="events.ticket",
        about="A patient's own ticket, behind its unguessable link: how it stands, whenever that changes.",
        says={"ticket": views.TicketView, "gone": _Gone},
        parameter=("token", "q3VbX0n9T1yKc7dLw2ZfRg"),
        codes=("not-found", "no-ticket"),
    ),
    Stream(
        path="/events/operator",
        id="events.operator",
        about="What staff follow: the tickets that are not over, and the cards that come in.",
        says={"snapshot": OperatorList, "card": CardStatusChanged},
        who=STAFF,
        codes=_TOKEN,
    ),
)
TYPES: Final = (BoardEvent, views.TicketView, _Gone, OperatorList, CardStatusChanged)
"""What the streams speak of."""


def operations(made: Operations) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of everything that is not in the table."""
    for stream in STREAMS:
        yield stream.path, "get", _stream(made, stream)
    ready = {"type": "object", "properties": {"ready": {"const": True}}, "required": ["ready"]}
    yield (
        "/ready",
        "get",
        {
            "operationId": "health.ready",
            "tags": ["operations"],
            "summary": "Whether the gateway takes requests: what a load balancer asks.",
            "security": [],
            "responses": {"200": made.answer(ready, description="It does.")} | refusals.responses({"unavailable"}),
        },
    )
    yield "/metrics", "get", _file("metrics", "What Prometheus reads.", "text/plain", made)
    yield "/openapi.json", "get", _file("openapi", "This document.", "application/json", made)


def _stream(made: Operations, stream: Stream) -> dict[str, Any]:
    says = {name: made.schema(of) for name, of in stream.says.items()}
    listed = "\n".join(f"- `{name}`: {schema['$ref'].rpartition('/')[2]}" for name, schema in says.items())
    content = {"text/event-stream": {"schema": _TEXT, "x-events": says}}
    operation: dict[str, Any] = {
        "operationId": stream.id,
        "tags": ["events"],
        "summary": stream.about,
        "description": f"Events by name, each with JSON as its data and the queue's version as its id:\n\n{listed}",
        "security": [] if stream.who is None else [{"bearer": []}, {"cookie": []}],
        "parameters": [{"$ref": "#/components/parameters/Last-Event-ID"}],
        "responses": {"200": made.response(content, description="Events, for as long as both sides stay.")}
        | refusals.responses({*stream.codes, *_STREAM_FAULTS}),
    }
    if stream.parameter is not None:
        name, example = stream.parameter
        schema = {"type": "string", "minLength": 1}
        parameter = {"name": name, "in": "path", "required": True, "schema": schema, "example": example}
        operation["parameters"].append(parameter)
    if stream.who is not None:
        operation["x-roles"] = sorted(stream.who)
    return operation


def _file(id_: str, summary: str, media_type: str, made: Operations) -> dict[str, Any]:
    schema = _TEXT if media_type.startswith("text/") else {"type": "object"}
    return {
        "operationId": id_,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": {"200": made.response({media_type: {"schema": schema}}, description=summary)},
    }
