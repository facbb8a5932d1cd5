"""The health of the application and of its components."""

from typing import Literal

import msgspec

from mediq.messages.registry import Request, request

State = Literal["up", "degraded", "down"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's health; `version` is the program's."""

    status: State
    service: str
    version: str


class ComponentHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The health of one component: an actor, a store, the broker. `latency_ms` is the time of one check."""

    status: State
    latency_ms: float | None = None
    detail: str | None = None
    parts: dict[str, "ComponentHealth"] = {}


class DetailedHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The health of the application with all its components."""

    status: State
    version: str
    uptime_seconds: float
    parts: dict[str, ComponentHealth]


@request("health.check", service="gateway", idempotent=True)
class CheckHealth(Request[Health], frozen=True, kw_only=True):
    """Whether the gateway answers."""


@request("health.detailed", service="gateway", idempotent=True)
class CheckHealthInDetail(Request[DetailedHealth], frozen=True, kw_only=True):
    """Every actor, broker, database and Redis, with latency."""


@request("user.health", idempotent=True)
class CheckUser(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the user service and its stores."""


@request("ocr.health", idempotent=True)
class CheckOcr(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the card-reading service, its store and its models."""


@request("queue.health", idempotent=True)
class CheckQueue(Request[ComponentHealth], frozen=True, kw_only=True):
    """Internal: the queue service and its log."""
