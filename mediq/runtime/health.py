"""Health checks: probe one part, and sum up the state of several."""

import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Final

from mediq.messages.errors import DomainError, Fault
from mediq.messages.health import ComponentHealth, State
from mediq.runtime import circuit_breaker as breaker
from mediq.runtime.bus import Bus

VERSION: Final = version("mediq")


async def probe(ask: Callable[[], Awaitable[object]]) -> ComponentHealth:
    """Ask one part a question: the part is up if it answers, and down with the reason if it does not."""
    began = time.perf_counter()
    try:
        answer = await ask()
    except (DomainError, Fault) as error:
        return ComponentHealth(status="down", detail=error.detail)
    latency = round((time.perf_counter() - began) * 1000, 2)
    if isinstance(answer, ComponentHealth):
        return ComponentHealth(status=answer.status, latency_ms=latency, detail=answer.detail, parts=answer.parts)
    return ComponentHealth(status="up", latency_ms=latency)


def circuits(bus: Bus) -> dict[str, ComponentHealth]:
    """The circuits that are not closed: services that this process does not ask at present, or only on trial."""
    return {
        f"circuit:{service}": ComponentHealth(status="degraded", detail=circuit.state)
        for service, circuit in bus.breakers.items()
        if circuit.state is not breaker.State.CLOSED
    }


def overall(parts: Mapping[str, ComponentHealth], *needed: str) -> State:
    """The state of the whole: down if a `needed` part is down, degraded if any part is not up."""
    if any(parts[name].status == "down" for name in needed):
        return "down"
    return "up" if all(part.status == "up" for part in parts.values()) else "degraded"
