"""The composition root: which role runs what, over which stores and which transport. The only file that knows all."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import filelock

from mediq.actors.gateway import GatewayActor
from mediq.actors.ocr import OcrActor
from mediq.actors.queue import QueueActor
from mediq.actors.reader import ReaderActor
from mediq.actors.user import UserActor, UserStores
from mediq.config import Auth, ConfigError, Settings
from mediq.domain.card import Reading
from mediq.http.app import Gateway
from mediq.http.server import HttpServer
from mediq.http.tokens import Tokens, hashed
from mediq.kernel.actor import Actor
from mediq.kernel.breaker import BreakerPolicy
from mediq.kernel.bus import Bus
from mediq.kernel.cell import ActorCell
from mediq.kernel.retry import RetryPolicy
from mediq.kernel.supervisor import Child, ChildSpec, Strategy, Supervisor
from mediq.messages.errors import Conflict, Invalid, TooLarge, Unsupported
from mediq.stores.audit import AuditTrail
from mediq.stores.database import migrate, open_database, ping
from mediq.stores.eventlog import SqliteEventLog
from mediq.stores.jobs import SqliteJobStore
from mediq.stores.sessions import SessionStore
from mediq.stores.setup import SetupStore
from mediq.stores.users import UserStore
from mediq.transport.base import Transport
from mediq.transport.memory import MemoryBroker, MemoryTransport

ROLES: Final = ("gateway", "user", "ocr", "queue")
"""The roles that a process can take; `all` takes every one."""


def parse_roles(words: str) -> frozenset[str]:
    """The roles that `--role` names, separated by commas.

    Raises:
        ConfigError: one of them does not exist.
    """
    named = {word.strip() for word in words.split(",")}
    if named == {"all"}:
        return frozenset(ROLES)
    if unknown := named - set(ROLES):
        raise ConfigError(f"There is no role {', '.join(sorted(unknown))!r}; choose all, {', '.join(ROLES)}.")
    return frozenset(named)


def now() -> datetime:
    return datetime.now(UTC)


class House:
    """One process's children, in the order in which they stand on one another.

    Raises:
        ConfigError: the settings do not fit the roles.
    """

    def __init__(self, settings: Settings, roles: Collection[str]) -> None:
        _check(settings, roles)
        self._settings = settings
        self._roles = roles
        self._folder = settings.folder
        self._tokens = token_signer(settings.auth, self._folder)
        self._mailboxes = {
            "user": settings.servers.user_queue,
            "ocr": settings.servers.ocr_queue,
            "queue": settings.servers.queue_queue,
            "reader": f"{settings.servers.ocr_queue}.jobs",
            "gateway": f"gateway.{secrets.token_hex(6)}",
        }
        self._engine = open_database(database_url(settings))
        self._users = UserStore(self._engine, clock=now)
        self._event_log = SqliteEventLog(self._folder / "queue.db")
        self._jobs = SqliteJobStore(self._folder / "cards.db", clock=now)
        self._passwords = ThreadPoolExecutor(2, thread_name_prefix="argon2")
        self._transport: Transport
        self._bus: Bus
        self._reader: ReaderActor | None = None

    def supervisor(self) -> Supervisor:
        """Stores, then transport, then bus, then actors, then the gateway's port; stopped in the opposite order."""
        grace = self._settings.http.grace_seconds
        specs = [
            ChildSpec(name="stores", factory=lambda: _Stores(self)),
            ChildSpec(name="transport", factory=self._make_transport),
            ChildSpec(name="bus", factory=self._make_bus),
            ChildSpec(name="actors", factory=self._make_actors, shutdown=2 * grace + 5),
        ]
        if "gateway" in self._roles:
            specs.append(ChildSpec(name="http", factory=self._make_server, shutdown=grace + 5))
        return Supervisor("mediq", specs, Strategy.REST_FOR_ONE)

    # Children

    def _make_transport(self) -> Child:
        self._transport = MemoryTransport(MemoryBroker(capacity=self._settings.bus.mailbox_capacity))
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
        makers: Iterable[tuple[str, Callable[[], Actor]]] = (
            ("user", self._make_user),
            ("queue", self._make_queue),
            ("ocr", self._make_ocr),
            ("reader", self._make_reader),
            ("gateway", lambda: GatewayActor(self._bus)),
        )
        here = self._roles | {"reader"} if "ocr" in self._roles else self._roles  # type: ignore[operator]
        specs = [
            ChildSpec(name=name, factory=self._cell(name, make), shutdown=self._settings.http.grace_seconds)
            for name, make in makers
            if name in here
        ]
        return Supervisor("actors", specs)

    def _cell(self, name: str, make: Callable[[], Actor]) -> Callable[[], Child]:
        return lambda: ActorCell(make(), self._transport, self._mailboxes[name], private=name == "gateway")

    def _make_user(self) -> Actor:
        stores = UserStores(
            self._users,
            SessionStore(self._engine),
            SetupStore(self._engine),
            AuditTrail(self._engine),
            partial(ping, self._engine),
        )
        return UserActor(
            self._bus,
            stores,
            self._tokens,
            patient_login=self._settings.auth.patient_login,
            executor=self._passwords,
            clock=now,
        )

    def _make_queue(self) -> Actor:
        return QueueActor(
            self._bus,
            self._event_log,
            self._settings.clinic,
            cleanup_seconds=self._settings.queue.cleanup_interval_ms / 1000,
            clock=now,
        )

    def _make_ocr(self) -> Actor:
        return OcrActor(
            self._bus,
            self._jobs,
            self._settings.clinic,
            keep=timedelta(minutes=self._settings.ocr.keep_minutes),
            ready=lambda: self._reader is not None and self._reader.ready,
            clock=now,
        )

    def _make_reader(self) -> Actor:
        settings = self._settings.ocr
        self._reader = ReaderActor(
            self._bus,
            self._jobs,
            lambda: load_reader(settings.threads),
            readers=settings.readers,
            timeout=settings.timeout_ms / 1000,
            clock=now,
        )
        return self._reader

    def _make_server(self) -> Child:
        settings = self._settings
        gateway = Gateway(
            self._bus,
            settings.http,
            settings.clinic,
            self._tokens,
            upload_max_size=settings.ocr.upload_max_size,
            check_image=lambda data: check_image(data, settings.ocr.allowed_file_types, settings.ocr.max_pixels),
            clock=now,
        )
        return HttpServer(gateway, settings.http.host, settings.http.port, settings.http.grace_seconds)

    # Stores

    async def open_stores(self) -> None:
        """Open every store that a role of this process owns, and bring the database up to date."""
        if "user" in self._roles:
            await migrate(self._engine)
            await self._invite_administrator()
        if "queue" in self._roles:
            await self._event_log.open()
        if "ocr" in self._roles:
            await self._jobs.open()

    async def close_stores(self) -> None:
        await self._jobs.close()
        await self._event_log.close()
        await self._engine.dispose()

    async def _invite_administrator(self) -> None:
        """While there is no administrator, print the link under which the first one is made."""
        if await self._users.count_admins():
            return
        token = secrets.token_urlsafe(24)
        try:
            await SetupStore(self._engine).issue(hashed(token), now())
        except Conflict:
            return  # another process made one meanwhile
        address = self._settings.http.public_url.rstrip("/") or f"http://localhost:{self._settings.http.port}"
        print(f"Buat administrator pertama di {address}/setup#{token}", flush=True)  # noqa: T201


class _Stores(Child):
    def __init__(self, house: House) -> None:
        self._house = house
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        try:
            await self._house.open_stores()
        except BaseException:
            await self._house.close_stores()
            raise

    async def run(self) -> None:
        try:
            await self._stopped.wait()
        finally:
            await self._house.close_stores()

    async def stop(self) -> None:
        self._stopped.set()


class _TransportChild(Child):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        await self._transport.start()

    async def run(self) -> None:
        try:
            await self._stopped.wait()
        finally:
            await self._transport.stop()

    async def stop(self) -> None:
        self._stopped.set()


def _check(settings: Settings, roles: Collection[str]) -> None:
    servers = settings.servers
    named = {
        "RABBITMQ_URL": servers.rabbitmq_url,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
    }
    if given := [name for name, value in named.items() if value]:
        raise ConfigError(
            f"{', '.join(given)} is set, but this version of MediQ runs embedded only; unset it and run --role all."
        )
    if set(roles) != set(ROLES):
        raise ConfigError(
            f"Role {', '.join(sorted(roles))} alone needs a broker to reach the others: "
            "set RABBITMQ_URL, DATABASE_URL and REDIS_URL, or run --role all."
        )


def database_url(settings: Settings) -> str:
    """The address of the users' database: the server's, or the file in the data folder."""
    return settings.servers.database_url or f"sqlite+aiosqlite:///{settings.folder / 'users.db'}"


def hold_folder(folder: Path) -> filelock.BaseFileLock:
    """Take the data folder for this process alone.

    Raises:
        ConfigError: it cannot be written, or another MediQ has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(folder / "mediq.lock")
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise ConfigError(
            f"Another MediQ uses the data folder {folder}; stop it, or choose another folder with MEDIQ_DATA."
        ) from None
    except OSError as error:
        raise ConfigError(f"The data folder {folder} cannot be used: {error.strerror}.") from error
    return lock


def token_signer(settings: Auth, folder: Path) -> Tokens:
    """The signer of tokens, with the settings' secrets or those kept in the data folder, made there at first."""
    access, refresh = settings.jwt_secret, settings.jwt_refresh_secret
    if not (access and refresh):
        kept = _kept_secrets(folder / "secrets.json")
        access, refresh = access or kept["jwt_secret"], refresh or kept["jwt_refresh_secret"]
    for name, secret in (("JWT_SECRET", access), ("JWT_REFRESH_SECRET", refresh)):
        if len(secret.encode()) < 32:
            raise ConfigError(f"{name} must be at least 32 bytes long.")
    if access == refresh:
        raise ConfigError("JWT_SECRET and JWT_REFRESH_SECRET must differ.")
    return Tokens(
        access,
        refresh,
        access_seconds=settings.access_minutes * 60,
        refresh_seconds=settings.refresh_days * 86_400,
    )


def _kept_secrets(file: Path) -> dict[str, str]:
    """The secrets in the data folder; written whole or not at all, readable by the owner alone."""
    try:
        if not file.exists():
            made = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "jwt_refresh_secret")}
            part = file.with_suffix(".part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
                json.dump(made, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        found = json.loads(file.read_text("utf-8"))
        return {name: str(found[name]) for name in ("jwt_secret", "jwt_refresh_secret")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} cannot be used: {error}. Delete it to sign everybody out and start anew.") from error


def load_reader(threads: int) -> Callable[[bytes], Reading]:
    """Load the card reader's models; imported here, since only who reads cards should pay for them."""
    from mediq.ocr_engine.reader import CardReader

    reader = CardReader(threads=threads)
    reader.load()
    return reader.read


def check_image(data: bytes, allowed: Collection[str], max_pixels: int) -> None:
    """Refuse what is no picture that the reader takes.

    Raises:
        Unsupported, TooLarge, Invalid: with the sentence for the desk.
    """
    from mediq.ocr_engine import errors, intake

    try:
        intake.inspect(data, allowed=allowed, max_pixels=max_pixels)
    except errors.UnsupportedImage as error:
        raise Unsupported(str(error), code="unsupported-image") from None
    except errors.ImageTooLarge as error:
        raise TooLarge(str(error), code="image-too-large") from None
    except errors.PictureError as error:
        raise Invalid.field("ktp_image", str(error)) from None
