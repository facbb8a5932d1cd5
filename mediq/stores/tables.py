"""The tables of the SQL database, in types that SQLite and MySQL both have."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import mysql

from mediq.domain.card import FIELDS

TEXT_LIMIT = 255
"""The most characters of a field of a user."""


TEXT: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
"""MySQL's options for every table: transactions, all of Unicode, and `e` differs from `é`."""


class Moment(TypeDecorator[datetime]):
    """An instant, to the microsecond: stores any aware datetime, and returns it in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        # MySQL's plain DATETIME drops the fraction of a second.
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def exact(length: int) -> Any:
    """A string that MySQL compares byte by byte as well: by default `e` equals `é` there."""
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", exact(36), primary_key=True),
    Column("nik", exact(16), unique=True),
    Column("email", String(TEXT_LIMIT)),
    Column("email_key", exact(TEXT_LIMIT), unique=True),  # case-folded: unique without regard to case
    Column("role", exact(20), nullable=False, index=True),
    Column("password_hash", String(TEXT_LIMIT)),
    *(Column(name, String(TEXT_LIMIT), nullable=name != "nama") for name in FIELDS if name != "nik"),
    Column("search", Text, nullable=False),  # case-folded nama, nik and email, a line each
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_users_created_at", "created_at", "id"),
)

request_keys = Table(
    "request_keys",
    metadata,
    Column("key", exact(TEXT_LIMIT), primary_key=True),
    Column("fingerprint", exact(32)),
    # No foreign key: a request stays answered after its user is deleted.
    Column("user_id", exact(36), nullable=False),
    Column("created", Boolean, nullable=False),
    Column("at", Moment, nullable=False, index=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", exact(64), primary_key=True),
    Column("user_id", exact(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", exact(20), nullable=False),
    Column("token_hash", exact(TEXT_LIMIT), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("last_used_at", Moment, nullable=False),
)

setup_tokens = Table(
    "setup_tokens",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is one or none
    Column("token_hash", exact(TEXT_LIMIT), nullable=False),
    Column("issued_at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False, index=True),
    Column("actor", exact(64), index=True),
    Column("role", exact(20)),
    Column("action", exact(64), nullable=False, index=True),
    Column("subject", exact(64), index=True),
    Column("why", Text),
    Column("request_id", exact(128)),
)
