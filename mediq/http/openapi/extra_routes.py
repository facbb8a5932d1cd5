"""Describes the routes outside the route table: the event streams, and what monitoring needs."""

from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec

from mediq.actors.cards.messages import CardStatusChanged
from mediq.actors.queue.rules import events
from mediq.actors.queue.rules import public_views as public
from mediq.domain.roles import Role
from mediq.http.event_feeds import BoardEvent, OperatorList, OwnTicket
from mediq.http.openapi import components, error_codes
from mediq.http.openapi.operation import OperationBuilder, response
from mediq.http.openapi.schemas import name_of
from mediq.http.routes import STAFF

_SIGNED_IN: Final = ("unauthenticated", "token-invalid", "token-expired", "session-ended", "forbidden", "too-many")


class TicketGone(msgspec.Struct):
    """The day of the ticket is over. `detail` says so for the patient."""

    detail: str


class DescribedStream(msgspec.Struct, frozen=True, kw_only=True):
    """An event stream. `events` maps the name of each event to the type of its data.

    `parameter` is the name of the path's parameter and an example. `who` are the roles that may follow the stream, None
    for anyone. `codes` are its errors; every stream may also answer `unavailable`.
    """

    path: str
    id: str
    summary: str
    events: dict[str, Any]
    parameter: tuple[str, str] | None = None
    who: frozenset[Role] | None = None
    codes: tuple[str, ...] = ()


STREAMS: Final = (
    DescribedStream(
        path="/events/board/{board}",
        id="events.board",
        summary="A waiting-room board, without personal data: first a snapshot, then each event of the queue.",
        events={"snapshot": BoardEvent}
        | {str(event.__struct_config__.tag): BoardEvent for event in get_args(events.Event)},
        parameter=("board", public.ALL_SERVICES[0]),
        codes=("not-found", "no-board"),
    ),
    DescribedStream(
        path="/events/ticket/{token}",
        id="events.ticket",
        summary="A patient's own ticket, behind its unguessable link: its state, whenever that changes.",
        events={"ticket": OwnTicket, "gone": TicketGone},
        parameter=("token", "q3VbX0n9T1yKc7dLw2ZfRg"),
        codes=("not-found", "no-ticket"),
    ),
    DescribedStream(
        path="/events/operator",
        id="events.operator",
        summary="What staff follow: the tickets that are not over, changes of the clinic, and the cards that come in.",
        events={"snapshot": OperatorList, "clinic-changed": public.ClinicView, "card": CardStatusChanged},
        who=STAFF,
        codes=_SIGNED_IN,
    ),
)
TYPES: Final = tuple(dict.fromkeys(type_ for stream in STREAMS for type_ in stream.events.values()))
"""The types of all events."""


def operations(builder: OperationBuilder) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path and the operation of each route outside the table. All of them are GET."""
    for stream in STREAMS:
        yield stream.path, _stream(builder, stream)
    ready = {"type": "object", "properties": {"ready": {"const": True}}, "required": ["ready"]}
    readiness = _open_to_all("health.ready", "Whether the gateway takes requests, as a load balancer asks.")
    readiness["responses"] = {"200": builder.json_response(ready, description="It does.")}
    readiness["responses"] |= error_codes.responses({"unavailable"})
    yield "/ready", readiness
    yield "/metrics", _file("metrics", "Metrics for Prometheus.", "text/plain", components.TEXT)
    yield "/openapi.json", _file("openapi", "This document.", "application/json", {"type": "object"})


def _stream(builder: OperationBuilder, stream: DescribedStream) -> dict[str, Any]:
    schemas = {name: builder.schema(type_) for name, type_ in stream.events.items()}
    listed = "\n".join(f"- `{name}`: {name_of(schema)}" for name, schema in schemas.items())
    content = {"text/event-stream": {"schema": components.TEXT, "x-events": schemas}}
    success = {"200": response(content, description="Events, until the client or MediQ closes the stream.")}
    operation: dict[str, Any] = {
        "operationId": stream.id,
        "tags": ["events"],
        "summary": stream.summary,
        "description": f"Each event has JSON data and the queue's version as its id. Events by name:\n\n{listed}",
        "security": [] if stream.who is None else [{"bearer": []}, {"cookie": []}],
        "parameters": [components.parameter("Last-Event-ID")],
        "responses": success | error_codes.responses({*stream.codes, "unavailable"}),
    }
    if stream.parameter is not None:
        name, example = stream.parameter
        schema = {"type": "string", "minLength": 1}
        operation["parameters"].append(
            {"name": name, "in": "path", "required": True, "schema": schema, "example": example}
        )
    if stream.who is not None:
        operation["x-roles"] = sorted(stream.who)
    return operation


def _file(id_: str, summary: str, media_type: str, schema: dict[str, str]) -> dict[str, Any]:
    responses = {"200": response({media_type: {"schema": schema}}, description=summary)}
    return _open_to_all(id_, summary) | {"responses": responses}


def _open_to_all(id_: str, summary: str) -> dict[str, Any]:
    return {"operationId": id_, "tags": ["operations"], "summary": summary, "security": []}
