"""Passwords of people: argon2id with the second set of parameters that RFC 9106 recommends (64 MiB, three passes).

Where there are peppers, HMAC-SHA256 of the password is hashed in its place, and the pepper's version stands behind the hash:
`$argon2id$...#3`. Hashes of an older pepper, or of none, hold; they are made anew when their owner signs in.

Hashing takes a core for a while and a lot of memory, so it runs in threads, few at once; requests wait in line for them.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from service.core.errors import InvalidInput, Unavailable
from service.services.peppers import Pepper, Peppers

Result = TypeVar("Result")
SHORTEST, LONGEST = 10, 256  # characters
# Control characters and halves of characters: nobody types them on purpose, and not every program passes them on.
_NOT_TYPED = frozenset({"Cc", "Cs"})


class Passwords:
    """Hashes and compares, at most `at_once` at a time. `hasher` is for tests, which need not wait."""

    def __init__(
        self, peppers: Peppers | None = None, *, at_once: int = 2, hasher: argon2.PasswordHasher | None = None
    ) -> None:
        self._peppers = peppers
        self._hasher = hasher or argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="password")
        self._nobodys = ""  # the hash that is compared with where there is none

    async def hash(self, password: str) -> str:
        """What is stored of `password`. Raises Unavailable when there is no memory for it, or no pepper."""
        if self._peppers is None:
            return await self._in_thread(lambda: self._hash(_bytes(password)))
        pepper = await self._peppers.current()
        return await self._in_thread(lambda: f"{self._hash(_peppered(password, pepper))}#{pepper.version}")

    async def verify(self, hash: str | None, password: str) -> bool:
        """Whether `password` is the one behind `hash`. Without a hash it is not, which takes just as long to say.

        Raises Unavailable when it cannot be told.
        """
        plain, _, version = (hash or "").partition("#")
        if not version:
            return await self._in_thread(lambda: self._verify(hash, _bytes(password)))
        if self._peppers is None:
            raise _unavailable("this password needs a pepper, and this installation has no Vault")
        pepper = await self._peppers.of(int(version))
        return await self._in_thread(lambda: self._verify(plain, _peppered(password, pepper)))

    def needs_rehash(self, hash: str) -> bool:
        """Whether it was made with parameters that are no longer ours, or with a pepper that is not the newest known."""
        plain, _, version = hash.partition("#")
        newest = self._peppers.newest if self._peppers is not None else 0
        return int(version or 0) < newest or self._hasher.check_needs_rehash(plain)

    def _verify(self, hash: str | None, password: bytes) -> bool:
        if hash is None and not self._nobodys:
            self._nobodys = self._hash(secrets.token_bytes(32))  # takes as long as comparing
            return False
        try:
            right = self._hasher.verify(self._nobodys if hash is None else hash, password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        except VerificationError as error:  # no memory for it, or a hash that was cut off
            raise _unavailable() from error
        return right and hash is not None

    def _hash(self, password: bytes) -> str:
        try:
            return self._hasher.hash(password)
        except HashingError as error:
            raise _unavailable() from error

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        # Work that has not begun when its request is given up is never done.
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def valid_password(text: str, *, email: str = "") -> str:
    """`text`, when it may be the password of the user with that address. Raises InvalidInput."""
    if not SHORTEST <= len(text) <= LONGEST:
        raise InvalidInput(f"a password has {SHORTEST} to {LONGEST} characters", field="password")
    if any(unicodedata.category(one) in _NOT_TYPED for one in text):
        raise InvalidInput("a password has no control characters", field="password")
    if email and text.strip().casefold() == email.strip().casefold():
        raise InvalidInput("a password is not one's own address", field="password")
    return text


def _unavailable(why: str = "passwords cannot be compared at the moment") -> Unavailable:
    return Unavailable(why, code="PASSWORDS_UNAVAILABLE")


def _peppered(password: str, pepper: Pepper) -> bytes:
    return hmac.digest(pepper.value.reveal().encode(), _bytes(password), "sha256")


def _bytes(password: str) -> bytes:
    # The same letters are typed as different characters on different systems (RFC 8265). Halves of characters are bytes,
    # too: such a password is wrong, not an error.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
