"""Passwords: hashed and checked beside the loop, for as long whether there is something to check or not."""

import asyncio
import secrets
from concurrent.futures import Executor
from typing import Final

import argon2

_HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's minimum for argon2id: 19 MiB, two passes; about 17 ms a password."""
_NOBODYS: Final = _HASHER.hash(secrets.token_urlsafe(16))
"""What a password is checked against when there is none, so that both take as long."""


def hash_password(password: str) -> str:
    """A password as it is stored."""
    return _HASHER.hash(password)


class Passwords:
    """Hashes and checks passwords in `executor`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hash(self, password: str) -> str:
        """A password as it is stored."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, hash_password, password)

    async def match(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one that is `stored`; never, and just as slowly, when none is."""

        def verify() -> bool:
            try:
                return _HASHER.verify(_NOBODYS if stored is None else stored, password) and stored is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

        return await asyncio.get_running_loop().run_in_executor(self._executor, verify)

    @staticmethod
    def stale(stored: str) -> bool:
        """Whether `stored` was hashed otherwise than passwords are now."""
        return _HASHER.check_needs_rehash(stored)
