"""Typed settings: the defaults, overridden by config.toml, overridden by environment variables.

Every problem is reported as one sentence that names the setting.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mediq.domain.clinic import DEFAULT, Clinic
from mediq.domain.clinic_checks import problems

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ConfigError(Exception):
    """Settings that MediQ cannot start with. The message is a sentence for the person who starts it."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Limits(_Section, frozen=True, kw_only=True):
    """Rate limits: calls of one account or address per `window_ms`. `streams` bounds all open event streams."""

    requests: Positive = 100
    window_ms: Positive = 60_000
    login_requests: Positive = 10
    card_requests: Positive = 20
    nik_requests: Positive = 30
    streams: Positive = 2000


class Http(_Section, frozen=True, kw_only=True):
    """The HTTP server, the pages, and who may use them. Without a port, a role takes its default port; 0 takes any."""

    host: str = "0.0.0.0"  # noqa: S104 - a clinic's PC serves the boards and phones of its network
    port: Port | None = None
    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=600)] = 10.0
    public_url: str = ""
    registration: Literal["open", "staff"] = "staff"
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        for text in self.trusted_proxies:
            try:
                ip_network(text)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}") from None
        for text in self.cors_origins:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]+)?", text):
                raise ValueError(f"cors_origins: '{text}' is not an origin such as https://janji.example")


class Servers(_Section, frozen=True, kw_only=True):
    """Addresses of the servers of a split application. An empty address keeps that part embedded in the process."""

    rabbitmq_url: str = ""
    database_url: str = ""
    redis_url: str = ""
    user_queue: str = "user_service_queue"
    ocr_queue: str = "ocr_service_queue"
    queue_queue: str = "patient_queue_service_queue"


class BusSettings(_Section, frozen=True, kw_only=True):
    """Requests inside the application: timeout, attempts, circuit breaker, and the capacity of a mailbox."""

    timeout_ms: Positive = 5000
    retry_attempts: Positive = 3
    breaker_threshold: Positive = 5
    mailbox_capacity: Positive = 1000


class Auth(_Section, frozen=True, kw_only=True):
    """Signing in: secrets of the tokens, lifetimes, what patients may do, and how long the audit trail is kept."""

    jwt_secret: str = ""
    jwt_refresh_secret: str = ""
    access_minutes: Positive = 15
    refresh_days: Positive = 7
    cookie_hours: Positive = 12
    patient_login: bool = True
    patient_birth_date: bool = False
    audit_days: Positive = 365


class Ocr(_Section, frozen=True, kw_only=True):
    """Reading cards: limits of an upload, processes and threads, and how long a card's picture and result are kept."""

    timeout_ms: Positive = 30_000
    upload_max_size: Positive = 5_242_880
    allowed_file_types: tuple[Literal["jpg", "jpeg", "png", "pdf"], ...] = ("jpg", "jpeg", "png", "pdf")
    max_pixels: Positive = 50_000_000
    readers: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    keep_minutes: Positive = 60


class QueueSettings(_Section, frozen=True, kw_only=True):
    """The queue service. The rules of the queue are `clinic.policy`."""

    cleanup_interval_ms: Positive = 300_000


class Log(_Section, frozen=True, kw_only=True):
    """Format and level of the log on standard error."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Section, frozen=True, kw_only=True):
    """All settings. `config.toml` shows each one with its default."""

    data: str = "data"
    clinic: Clinic = DEFAULT
    http: Http = Http()
    servers: Servers = Servers()
    bus: BusSettings = BusSettings()
    auth: Auth = Auth()
    ocr: Ocr = Ocr()
    queue: QueueSettings = QueueSettings()
    log: Log = Log()

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data).expanduser().resolve()


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "MEDIQ_DATA": ("data",),
    "PORT": ("http", "port"),
    "RABBITMQ_URL": ("servers", "rabbitmq_url"),
    "DATABASE_URL": ("servers", "database_url"),
    "REDIS_URL": ("servers", "redis_url"),
    "USER_SERVICE_QUEUE": ("servers", "user_queue"),
    "OCR_SERVICE_QUEUE": ("servers", "ocr_queue"),
    "QUEUE_SERVICE_QUEUE": ("servers", "queue_queue"),
    "JWT_SECRET": ("auth", "jwt_secret"),
    "JWT_REFRESH_SECRET": ("auth", "jwt_refresh_secret"),
    "TIMEOUT_MS": ("bus", "timeout_ms"),
    "RETRY_ATTEMPTS": ("bus", "retry_attempts"),
    "CIRCUIT_BREAKER_THRESHOLD": ("bus", "breaker_threshold"),
    "RATE_LIMIT_REQUESTS": ("http", "limits", "requests"),
    "RATE_LIMIT_WINDOW": ("http", "limits", "window_ms"),
    "OCR_API_TIMEOUT": ("ocr", "timeout_ms"),
    "UPLOAD_MAX_SIZE": ("ocr", "upload_max_size"),
    "ALLOWED_FILE_TYPES": ("ocr", "allowed_file_types"),
    "QUEUE_CLEANUP_INTERVAL": ("queue", "cleanup_interval_ms"),
    "STATISTICS_RETENTION_DAYS": ("clinic", "policy", "retention_days"),
}
"""By environment variable, the path of the setting that it overrides."""


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `path`, or from `config.toml` in the working folder if that file exists.

    Raises:
        ConfigError: the file cannot be read, or holds an unknown key or a bad value.
    """
    file = path or Path("config.toml")
    tree: dict[str, Any] = {}
    if path is not None or file.exists():
        try:
            tree = tomllib.loads(file.read_text("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read: {error}.") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{file} is not valid TOML: {error}.") from error
    if isinstance(clinic := tree.get("clinic"), dict):
        tree["clinic"] = _default_clinic(clinic) | clinic
    source = str(file) if tree else "the settings"
    settings = _convert(tree, source)
    for name, where in ENVIRONMENT.items():
        if value := environment.get(name, "").strip():
            settings = _convert(_override(tree, settings, where, value), f"the environment variable {name}")
    if found := problems(settings.clinic):
        raise ConfigError(f"{source}: {' '.join(problem.says for problem in found)}")
    return settings


def _default_clinic(given: dict[str, Any]) -> dict[str, Any]:
    """The defaults of keys that a file's `[clinic]` leaves out.

    Counters refer to services, so the defaults of both hold only if the file names neither.
    """
    default: dict[str, Any] = msgspec.to_builtins(DEFAULT)
    if given.keys() & {"services", "counters"}:
        del default["services"], default["counters"]
    return default


def _convert(tree: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(tree, Settings, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {str(error).replace('`$.', '`')}.") from error


def _override(tree: dict[str, Any], settings: Settings, where: tuple[str, ...], text: str) -> dict[str, Any]:
    """Set one leaf of `tree` in place: `text`, converted to the type of the setting's present value."""
    present: Any = settings
    branch = tree
    for name in where[:-1]:
        present = getattr(present, name)
        if name == "clinic" and name not in branch:
            branch[name] = msgspec.to_builtins(settings.clinic)
        branch = branch.setdefault(name, {})
    leaf = getattr(present, where[-1])
    value: Any = text
    if isinstance(leaf, int) or where == ("http", "port"):
        value = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
    elif isinstance(leaf, tuple):
        value = [part.strip() for part in text.split(",")]
    branch[where[-1]] = value
    return tree
