"""Passwords of people: argon2id, in threads, a few at a time.

Hashing takes tens of milliseconds and 64 MiB on purpose. More at once than there are processors would only make each slower.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.core.errors import InvalidInput

Result = TypeVar("Result")
_AT_ONCE = 2
_SHORTEST, _LONGEST = 10, 256  # characters


def valid_password(text: str) -> str:
    """`text`, if it is long enough to be one. No rule about its characters: length is what helps. Raises InvalidInput."""
    if not _SHORTEST <= len(text) <= _LONGEST or not text.isprintable():
        raise InvalidInput(f"a password has {_SHORTEST} to {_LONGEST} printable characters", field="password")
    return text


class Passwords:
    """Hashes and verifies. The parameters are those of RFC 9106 for machines without memory to spare."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._nobody = ""  # a hash that no password has, made when first needed

    async def hash(self, password: str) -> str:
        """What is stored of a password: parameters, salt and hash in one text."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one of `stored`. Takes as long when nothing is stored."""
        if not self._nobody:
            self._nobody = await self.hash(secrets.token_urlsafe(32))
        right = await self._in_thread(lambda: self._right(stored or self._nobody, password))
        return right and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _right(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        async with self._turn:
            return await asyncio.to_thread(work)
