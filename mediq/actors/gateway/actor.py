"""The gateway's own actor: whether the house stands."""

import asyncio
import time
from collections.abc import Mapping

from mediq.messages.health import (
    CheckHealth,
    CheckHealthInDetail,
    CheckOcr,
    CheckQueue,
    CheckUser,
    DetailedHealth,
    Health,
    ComponentHealth,
)
from mediq.messages.registry import Request
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.health import VERSION, circuits, overall, probe

_SERVICES: Mapping[str, Request[ComponentHealth]] = {"user": CheckUser(), "ocr": CheckOcr(), "queue": CheckQueue()}
_PATIENCE = 2.0
"""Seconds that a service has to say how it is."""


class GatewayActor(Actor):
    """Answers `health.*`."""

    name = "gateway"

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self._began = time.monotonic()

    @handles(CheckHealth)
    async def check(self, message: CheckHealth, context: Context) -> Health:
        return Health(status="up", service="gateway", version=VERSION)

    @handles(CheckHealthInDetail)
    async def in_detail(self, message: CheckHealthInDetail, context: Context) -> DetailedHealth:
        names = [*_SERVICES, "broker"]
        found = await asyncio.gather(
            *(probe(lambda check=check: self.bus.ask(check, timeout=_PATIENCE)) for check in _SERVICES.values()),  # type: ignore[misc]
            probe(self.bus.transport.ping),
        )
        parts = dict(zip(names, found, strict=True)) | circuits(self.bus)
        return DetailedHealth(
            status=overall(parts, "broker"),
            version=VERSION,
            uptime_seconds=round(time.monotonic() - self._began, 1),
            parts=parts,
        )
