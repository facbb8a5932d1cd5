"""The health of the whole application as a gateway sees it.

The gateway answers by itself, without a message: it must still say what is down while the broker is away.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from mediq.messages.health import CheckOcr, CheckQueue, CheckUser, ComponentHealth, DetailedHealth, Health
from mediq.messages.registry import Request
from mediq.runtime.bus import Bus
from mediq.runtime.health import VERSION, circuits, overall, probe

_SERVICES: Final[Mapping[str, Request[ComponentHealth]]] = {
    "user": CheckUser(),
    "ocr": CheckOcr(),
    "queue": CheckQueue(),
}
_TIMEOUT: Final = 2.0
"""Seconds in which a service must answer."""


class GatewayHealth:
    """Answers `health.check` and `health.detailed`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._began = time.monotonic()

    async def check(self) -> Health:
        """Whether the gateway reaches the broker."""
        broker = await probe(self._bus.transport.ping)
        parts = {} if broker.status == "up" else {"broker": broker}
        return Health(status=broker.status, service="gateway", version=VERSION, parts=parts)

    async def check_in_detail(self) -> DetailedHealth:
        """The state of the broker, of every service, and of the circuits to them.

        While the broker is away no service is asked: in vain it would only open the circuit to it.
        """
        broker = await probe(self._bus.transport.ping)
        if broker.status == "up":
            found = await asyncio.gather(*(self._probe(question) for question in _SERVICES.values()))
        else:
            found = [ComponentHealth(status="down", detail=broker.detail)] * len(_SERVICES)
        parts = dict(zip(_SERVICES, found, strict=True)) | {"broker": broker} | circuits(self._bus)
        return DetailedHealth(
            status=overall(parts, "broker"),
            version=VERSION,
            uptime_seconds=round(time.monotonic() - self._began, 1),
            parts=parts,
        )

    async def _probe(self, question: Request[ComponentHealth]) -> ComponentHealth:
        return await probe(lambda: self._bus.ask(question, timeout=_TIMEOUT))
