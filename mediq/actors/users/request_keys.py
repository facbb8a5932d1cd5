"""Which requests to the user service are answered, by their idempotency keys, noted in the writes that answer them."""

from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediq.domain.idempotency import refuse_other_use, split
from mediq.stores.tables import request_keys


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request was about, and whether it created them."""

    user_id: str
    created: bool


async def answered(connection: AsyncConnection, key: str | None) -> Answered | None:
    """What the first request under `key` did, or None when this is the first.

    Raises:
        Conflict: `key-reused`, it asked for something else.
    """
    if key is None:
        return None
    name, fingerprint = split(key)
    row = (await connection.execute(select(request_keys).where(request_keys.c.key == name))).first()
    if row is None:
        return None
    refuse_other_use(row.fingerprint, fingerprint)
    return Answered(user_id=row.user_id, created=row.created)


async def remember(
    connection: AsyncConnection, key: str | None, user_id: str, at: datetime, *, created: bool = False
) -> None:
    """Note inside the caller's transaction that a request is answered by it.

    Raises:
        IntegrityError: another request under this key was faster.
    """
    if key is not None:
        name, fingerprint = split(key)
        row = {"key": name, "fingerprint": fingerprint, "user_id": user_id, "created": created, "at": at}
        await connection.execute(insert(request_keys).values(row))


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Forget the keys first used before `before`; how many."""
    return (await connection.execute(delete(request_keys).where(request_keys.c.at < before))).rowcount
