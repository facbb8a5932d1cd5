"""The composition root: the children of a process by role, over their stores and transport. Only this file knows all.

Large modules are imported where they are used, so that a process pays only for its own roles and servers.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from mediq.card_reading import check_image, load_reader, preview
from mediq.config import Settings
from mediq.http.health_endpoints import HealthEndpoints
from mediq.http.server import HttpServer
from mediq.messages.health import DetailedHealth
from mediq.process_roles import PORTS, check_roles, token_signer
from mediq.runtime.actor import Actor
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.circuit_breaker import BreakerPolicy
from mediq.runtime.health import VERSION, circuits, overall, probe
from mediq.runtime.retry import RetryPolicy
from mediq.runtime.supervisor import Child, ChildSpec, Strategy, Supervisor
from mediq.startup_errors import explain_unavailable
from mediq.transport.base import Transport
from mediq.transport.memory import MemoryBroker, MemoryTransport

if TYPE_CHECKING:
    from mediq.actors.cards.worker import ReaderActor
    from mediq.http.gateway import Gateway
    from mediq.store_factory import Stores


def now() -> datetime:
    return datetime.now(UTC)


class Application:
    """One process: its children, in the order in which they need one another.

    Raises:
        ConfigError: the settings do not fit the roles.
    """

    def __init__(self, settings: Settings, roles: Collection[str]) -> None:
        check_roles(settings, roles)
        self._settings = settings
        self._roles = roles
        self._tokens = token_signer(settings)
        self._mailboxes = {
            "user": settings.servers.user_queue,
            "audit": f"{settings.servers.user_queue}.audit",
            "ocr": settings.servers.ocr_queue,
            "queue": settings.servers.queue_queue,
            "reader": f"{settings.servers.ocr_queue}.jobs",
        }
        self._passwords = ThreadPoolExecutor(2, thread_name_prefix="argon2")
        self._began = time.monotonic()
        self._stores: Stores
        self._transport: Transport
        self._bus: Bus
        self._reader: ReaderActor | None = None

    def supervisor(self) -> Supervisor:
        """Stores, then transport, then bus, then actors, then the port; stopped in the opposite order."""
        grace = self._settings.http.grace_seconds
        specs = [
            ChildSpec(name="stores", factory=self._make_stores),
            ChildSpec(name="transport", factory=self._make_transport),
            ChildSpec(name="bus", factory=self._make_bus),
            ChildSpec(name="actors", factory=self._make_actors, shutdown=2 * grace + 5),
            ChildSpec(name="http", factory=self._make_server, shutdown=grace + 5),
        ]
        return Supervisor("mediq", specs, Strategy.REST_FOR_ONE)

    def _make_stores(self) -> Child:
        from mediq.store_factory import Stores

        self._stores = Stores(self._settings, self._roles, clock=now)
        return self._stores

    def _make_transport(self) -> Child:
        capacity = self._settings.bus.mailbox_capacity
        if url := self._settings.servers.rabbitmq_url:
            from mediq.transport.rabbitmq.transport import RabbitTransport

            self._transport = RabbitTransport(url, capacity=capacity)
        else:
            self._transport = MemoryTransport(MemoryBroker(capacity=capacity))
        return _TransportChild(self._transport)

    def _make_bus(self) -> Child:
        settings = self._settings.bus
        self._bus = Bus(
            self._transport,
            self._mailboxes,
            timeout=settings.timeout_ms / 1000,
            retry=RetryPolicy(attempts=settings.retry_attempts),
            breaker=BreakerPolicy(failures=settings.breaker_threshold),
        )
        return self._bus

    def _make_actors(self) -> Child:
        makers: dict[str, dict[str, Callable[[], Actor]]] = {
            "user": {"audit": self._make_audit, "user": self._make_user},
            "queue": {"queue": self._make_queue},
            "ocr": {"reader": self._make_reader, "ocr": self._make_ocr},  # `ocr` tells `reader` as soon as it starts
        }
        specs = [
            ChildSpec(name=name, factory=partial(self._cell, make), shutdown=self._settings.http.grace_seconds)
            for role, of_role in makers.items()
            if role in self._roles
            for name, make in of_role.items()
        ]
        return Supervisor("actors", specs)

    def _cell(self, make: Callable[[], Actor]) -> Child:
        actor = make()
        return ActorCell(actor, self._transport, self._mailboxes[actor.name])

    def _make_user(self) -> Actor:
        from mediq.actors.users.actor import UserActor
        from mediq.actors.users.authentication import Authentication, AuthStores
        from mediq.actors.users.credentials import CredentialStore
        from mediq.actors.users.passwords import Passwords
        from mediq.actors.users.sessions import SessionStore
        from mediq.actors.users.setup_tokens import SetupStore
        from mediq.actors.users.users import UserStore
        from mediq.stores.audit_trail import AuditTrail
        from mediq.stores.database import ping

        engine = self._stores.engine
        users, audit, passwords = UserStore(engine, clock=now), AuditTrail(engine), Passwords(self._passwords)
        authentication = Authentication(
            self._bus,
            AuthStores(
                users=users,
                credentials=CredentialStore(engine, clock=now),
                sessions=SessionStore(engine),
                setup_tokens=SetupStore(engine),
                audit=audit,
            ),
            self._tokens,
            passwords,
            patient_login=self._settings.auth.patient_login,
            patient_birth_date=self._settings.auth.patient_birth_date,
            clock=now,
        )
        return UserActor(
            self._bus,
            users,
            audit,
            authentication,
            passwords,
            invite=self._invite,
            ping=partial(ping, engine),
            clock=now,
        )

    def _make_audit(self) -> Actor:
        from mediq.actors.audit.actor import AuditActor
        from mediq.stores.audit_trail import AuditTrail

        keep = timedelta(days=self._settings.auth.audit_days)
        return AuditActor(self._bus, AuditTrail(self._stores.engine), keep=keep, clock=now)

    def _invite(self, token: str) -> None:
        """Print the link with which the first administrator is created. The token is neither stored nor logged."""
        http = self._settings.http
        port = http.port if "gateway" in self._roles else None  # else it is this process's own
        address = http.public_url.rstrip("/") or f"http://localhost:{port or PORTS['gateway']}"
        print(f"Buat administrator pertama di {address}/setup#{token}", flush=True)  # noqa: T201

    def _make_queue(self) -> Actor:
        from mediq.actors.queue.actor import QueueActor

        return QueueActor(
            self._bus,
            self._stores.event_log,
            self._settings.clinic,
            shared=bool(self._settings.servers.redis_url),
            cleanup_seconds=self._settings.queue.cleanup_interval_ms / 1000,
            clock=now,
        )

    def _make_ocr(self) -> Actor:
        from mediq.actors.cards.actor import OcrActor

        return OcrActor(
            self._bus,
            self._stores.jobs,
            keep=timedelta(minutes=self._settings.ocr.keep_minutes),
            ready=lambda: self._reader is not None and self._reader.ready,
            preview=partial(preview, max_pixels=self._settings.ocr.max_pixels),
            clock=now,
        )

    def _make_reader(self) -> Actor:
        from mediq.actors.cards.worker import ReaderActor

        settings = self._settings.ocr
        self._reader = ReaderActor(
            self._bus,
            self._stores.jobs,
            partial(load_reader, settings.threads),
            readers=settings.readers,
            timeout=settings.timeout_ms / 1000,
            clock=now,
        )
        return self._reader

    def _make_server(self) -> Child:
        settings = self._settings.http
        site = self._make_gateway() if "gateway" in self._roles else HealthEndpoints(self._report)
        port = settings.port
        if port is None:
            port = next(port for role, port in PORTS.items() if role in self._roles)
        return HttpServer(site, settings.host, port, settings.grace_seconds)

    def _make_gateway(self) -> "Gateway":
        from mediq.http.gateway import Gateway

        ocr = self._settings.ocr
        return Gateway(
            self._bus,
            self._settings.http,
            self._settings.clinic,
            self._tokens,
            upload_max_size=ocr.upload_max_size,
            check_image=partial(check_image, allowed=ocr.allowed_file_types, max_pixels=ocr.max_pixels),
            pictures=self._stores.jobs,
            redis_url=self._settings.servers.redis_url,
            clock=now,
        )

    async def _report(self) -> DetailedHealth:
        """The health of this process and of its servers."""
        questions = {"broker": self._transport.ping, **self._stores.questions()}
        found = await asyncio.gather(*(probe(question) for question in questions.values()))
        parts = dict(zip(questions, found, strict=True)) | circuits(self._bus)
        return DetailedHealth(
            status=overall(parts, *questions),
            version=VERSION,
            uptime_seconds=round(time.monotonic() - self._began, 1),
            parts=parts,
        )


class _TransportChild(Child):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        with explain_unavailable("RABBITMQ_URL"):
            await self._transport.start()

    async def run(self) -> None:
        try:
            await self._stopped.wait()
        finally:
            await self._transport.stop()

    async def stop(self) -> None:
        self._stopped.set()
