"""Questions about health and their answers."""

from typing import Annotated, Literal

import msgspec

from mediq.messages.registry import Request, request

State = Annotated[Literal["up", "degraded", "down"], msgspec.Meta(examples=["up"])]


class ComponentHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one part: an actor, a store, the broker. `latency_ms` is the time of one question to it."""

    status: State
    latency_ms: float | None = None
    detail: str | None = None
    parts: dict[str, "ComponentHealth"] = {}


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one process: its service's name, the program's version, and the parts that are not up."""

    status: State
    service: Annotated[str, msgspec.Meta(examples=["gateway"])]
    version: Annotated[str, msgspec.Meta(examples=["0.1.0"])]
    parts: dict[str, ComponentHealth] = {}


class DetailedHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole and of each of its parts."""

    status: State
    version: Annotated[str, msgspec.Meta(examples=["0.1.0"])]
    uptime_seconds: Annotated[float, msgspec.Meta(examples=[86400.0])]
    parts: Annotated[dict[str, ComponentHealth], msgspec.Meta(examples=[{"user": {"status": "up", "latency_ms": 0.4}}])]


@request("health.check", service="gateway", idempotent=True)
class CheckHealth(Request[Health], frozen=True, kw_only=True):
    """Whether the gateway can reach the services. The gateway answers by itself, without the bus."""


@request("health.detailed", service="gateway", idempotent=True)
class CheckHealthInDetail(Request[DetailedHealth], frozen=True, kw_only=True):
    """Every service, the broker, the database and Redis, with latencies. The gateway answers, without the bus."""


@request("user.health", idempotent=True)
class CheckUser(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the user service and its stores."""


@request("ocr.health", idempotent=True)
class CheckOcr(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the card-reading service, its store and its models."""


@request("queue.health", idempotent=True)
class CheckQueue(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the queue service and its log."""
