"""Hashing and checking of passwords, in threads. A check takes equally long with and without a stored password."""

import asyncio
import secrets
from concurrent.futures import Executor
from typing import Final

import argon2

_HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's minimum for argon2id: 19 MiB, two passes; about 17 ms a password."""
_NO_PASSWORD: Final = _HASHER.hash(secrets.token_urlsafe(16))
"""The hash that a password is checked against when none is stored, so that both cases take equally long."""


def hash_password(password: str) -> str:
    """The hash of a password, as it is stored."""
    return _HASHER.hash(password)


class Passwords:
    """Hashes and checks passwords in `executor`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hash(self, password: str) -> str:
        """The hash of a password, as it is stored."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, hash_password, password)

    async def match(self, stored: str | None, password: str) -> bool:
        """Whether `stored` is the hash of `password`; False, after the same time, if nothing is stored."""

        def verify() -> bool:
            try:
                return _HASHER.verify(_NO_PASSWORD if stored is None else stored, password) and stored is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

        return await asyncio.get_running_loop().run_in_executor(self._executor, verify)

    @staticmethod
    def stale(stored: str) -> bool:
        """Whether `stored` was hashed with other parameters than new passwords are."""
        return _HASHER.check_needs_rehash(stored)
