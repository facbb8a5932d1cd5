"""The roles of a process: their ports, and the settings that a combination of roles needs."""

from collections.abc import Collection
from typing import Final

from mediq.actors.users.tokens import Tokens
from mediq.config import ConfigError, Settings
from mediq.data_dir import kept_secrets

PORTS: Final = {"gateway": 3001, "user": 3000, "ocr": 3002, "queue": 3003}
"""The roles of a process, each with its port. A process of several roles takes the port of the first."""


def parse_roles(words: str) -> frozenset[str]:
    """The roles that `--role` names, separated by commas; `all` stands for every one.

    Raises:
        ConfigError: one of them does not exist.
    """
    named = frozenset(word.strip() for word in words.split(","))
    if named == {"all"}:
        return frozenset(PORTS)
    if unknown := named - set(PORTS):
        raise ConfigError(f"There is no role {', '.join(sorted(unknown))!r}; choose all, {', '.join(PORTS)}.")
    return named


def check_roles(settings: Settings, roles: Collection[str]) -> None:
    """Refuse roles that could not reach one another, or would share a store that only one process may open.

    Raises:
        ConfigError: naming what to set.
    """
    servers = settings.servers
    split = set(roles) != set(PORTS)
    if not (split or servers.rabbitmq_url):
        return
    needed = {
        "RABBITMQ_URL": servers.rabbitmq_url,
        "JWT_SECRET": settings.auth.jwt_secret,
        "JWT_REFRESH_SECRET": settings.auth.jwt_refresh_secret,
    }
    if split and "user" in roles:
        needed["DATABASE_URL"] = servers.database_url
    if split and roles_on_redis(roles):
        needed["REDIS_URL"] = servers.redis_url
    if missing := [name for name, value in needed.items() if not value]:
        raise ConfigError(
            f"Role {', '.join(sorted(roles))} needs {', '.join(missing)}; "
            "set what is missing, or run --role all without RABBITMQ_URL."
        )


def roles_on_redis(roles: Collection[str]) -> frozenset[str]:
    """The roles whose stores are on Redis in a split deployment; the gateway stores the pictures of cards."""
    return frozenset(roles) & {"gateway", "ocr", "queue"}


def is_embedded(settings: Settings, roles: Collection[str]) -> bool:
    """Whether a process of these roles keeps data in the data folder, and therefore needs it for itself alone."""
    servers = settings.servers
    return bool(
        ("user" in roles and not servers.database_url)
        or (roles_on_redis(roles) and not servers.redis_url)
        or not (settings.auth.jwt_secret and settings.auth.jwt_refresh_secret)
    )


def token_signer(settings: Settings) -> Tokens:
    """The signer of tokens, with the secrets of the settings or of the data folder.

    Raises:
        ConfigError: a secret is too short, or the two are the same.
    """
    auth = settings.auth
    access, refresh = auth.jwt_secret, auth.jwt_refresh_secret
    if not (access and refresh):
        kept = kept_secrets(settings.folder)
        access, refresh = access or kept["jwt_secret"], refresh or kept["jwt_refresh_secret"]
    for name, secret in (("JWT_SECRET", access), ("JWT_REFRESH_SECRET", refresh)):
        if len(secret.encode()) < 32:
            raise ConfigError(f"{name} must be at least 32 bytes long.")
    if access == refresh:
        raise ConfigError("JWT_SECRET and JWT_REFRESH_SECRET must differ.")
    return Tokens(
        access,
        refresh,
        access_seconds=auth.access_minutes * 60,
        refresh_seconds=auth.refresh_days * 86_400,
        cookie_seconds=auth.cookie_hours * 3600,
    )
