"""Idempotency keys of the user service: what the first request under a key did.

A key is stored in the same transaction as the change that answers the request, so that neither exists without the
other.
"""

from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediq.domain.idempotency import refuse_other_use, split
from mediq.stores.tables import request_keys


class FirstOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The user that the first request under a key was about, and whether that request created the user."""

    user_id: str
    created: bool


async def first_outcome(connection: AsyncConnection, key: str | None) -> FirstOutcome | None:
    """What the first request under `key` did; None without a key, or when this is the first request.

    Raises:
        Conflict: `key-reused`, the first request asked for something else.
    """
    if key is None:
        return None
    name, fingerprint = split(key)
    row = (await connection.execute(select(request_keys).where(request_keys.c.key == name))).first()
    if row is None:
        return None
    refuse_other_use(row.fingerprint, fingerprint)
    return FirstOutcome(user_id=row.user_id, created=row.created)


async def store_key(
    connection: AsyncConnection, key: str | None, user_id: str, at: datetime, *, created: bool = False
) -> None:
    """Store the key of a request about `user_id` inside the caller's transaction; without a key do nothing.

    Raises:
        IntegrityError: another request has stored this key first.
    """
    if key is not None:
        name, fingerprint = split(key)
        row = {"key": name, "fingerprint": fingerprint, "user_id": user_id, "created": created, "at": at}
        await connection.execute(insert(request_keys).values(row))


async def delete_keys(connection: AsyncConnection, before: datetime) -> int:
    """Delete the keys first used before `before`; how many there were."""
    return (await connection.execute(delete(request_keys).where(request_keys.c.at < before))).rowcount
