"""Hashing and comparing passwords, and which ones are taken."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import argon2
import pytest
from argon2.exceptions import HashingError

from service.core.errors import InvalidInput, Unavailable
from service.services.passwords import Passwords, valid_password

RIGHT = "correct horse battery"


class Counting(argon2.PasswordHasher):
    """Cheap, and remembers how much was asked of it at once."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._pause = pause
        self._lock = threading.Lock()
        self.work, self.most, self._now = 0, 0, 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        with self._counted():
            return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        with self._counted():
            return super().verify(hash, password)

    def _counted(self) -> Counting:
        return self

    def __enter__(self) -> None:
        with self._lock:
            self.work += 1
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._pause)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_the_parameters_are_those_of_rfc_9106_and_every_hash_has_its_salt() -> None:
    async def work() -> None:
        passwords = Passwords()
        first, second = await asyncio.gather(passwords.hash(RIGHT), passwords.hash(RIGHT))
        assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert first != second
        assert RIGHT not in first
        assert await passwords.verify(first, RIGHT)
        assert not await passwords.verify(first, RIGHT + "x")
        assert not passwords.needs_rehash(first)
        weak = await Passwords(hasher=Counting()).hash(RIGHT)
        assert await passwords.verify(weak, RIGHT)
        assert passwords.needs_rehash(weak)

    run(work())


def test_nobody_takes_as_much_work_as_somebody() -> None:
    async def work() -> None:
        passwords = Passwords(hasher=(hasher := Counting()))
        stored = await passwords.hash(RIGHT)
        for hash, password in ((stored, RIGHT), (stored, "wrong"), (None, RIGHT), (None, RIGHT), (None, "")):
            before = hasher.work
            assert await passwords.verify(hash, password) is (hash is not None and password == RIGHT)
            assert hasher.work == before + 1

    run(work())


def test_two_at_once_and_the_rest_wait_without_holding_anybody_up() -> None:
    async def work() -> None:
        passwords = Passwords(hasher=(hasher := Counting(pause=0.02)))
        ticks = 0
        waiting = asyncio.gather(*[passwords.verify(None, RIGHT) for _ in range(10)])
        while not waiting.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert hasher.most == 2
        assert ticks > 20

    run(work())


def test_what_was_given_up_before_its_turn_is_never_done() -> None:
    async def work() -> None:
        passwords = Passwords(hasher=(hasher := Counting(pause=0.05)))
        tasks = [asyncio.create_task(passwords.verify(None, RIGHT)) for _ in range(10)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not await passwords.verify(None, RIGHT)
        assert hasher.work == 3

    run(work())


def test_the_same_letters_are_the_same_password_however_they_were_typed() -> None:
    async def work() -> None:
        passwords = Passwords(hasher=Counting())
        stored = await passwords.hash("na\u00efve caf\u00e9")
        assert await passwords.verify(stored, "nai\u0308ve cafe\u0301")
        assert not await passwords.verify(stored, "naive cafe")

    run(work())


@pytest.mark.parametrize("password", ["", "\ud800", "x" * 100_000, "nul\0nul", RIGHT + " "])
def test_any_other_text_is_wrong_and_no_error(password: str) -> None:
    async def work() -> None:
        passwords = Passwords(hasher=Counting())
        assert not await passwords.verify(await passwords.hash(RIGHT), password)
        assert not await passwords.verify(None, password)

    run(work())


def test_something_that_is_no_hash_has_no_password() -> None:
    async def work() -> None:
        passwords = Passwords(hasher=Counting())
        for password in ("", "secret"):
            assert await passwords.verify(None, password) is False
            assert await passwords.verify(password, password) is False
        stored = await passwords.hash("secret")
        with pytest.raises(Unavailable):
            await passwords.verify(stored[:-20] + "!", "secret")

    run(work())


def test_no_memory_is_no_verdict_about_a_password() -> None:
    class Full(argon2.PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            raise HashingError("Memory allocation error")

    for work in (Passwords(hasher=Full()).hash(RIGHT), Passwords(hasher=Full()).verify(None, RIGHT)):
        with pytest.raises(Unavailable, match="at the moment"):
            run(work)


@pytest.mark.parametrize("text", ["0123456789", "x" * 256, "mit Leerzeichen", "пароль пароль", "🐎🔋📎" * 4, "          "])
def test_length_is_what_counts(text: str) -> None:
    assert valid_password(text, email="alice@acme.example") == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "123456789", "x" * 257, "0123456789\n", "tab\there or there", "nul\0 in the middle", "\x7f" * 12, "\x85" * 12),
        *("half \ud83d of a character", "alice@acme.example", "Alice@ACME.example", " alice@acme.example "),
    ],
)
def test_what_is_refused_as_a_password(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        valid_password(text, email="alice@acme.example")
    assert caught.value.field == "password"
    assert not text or text not in caught.value.message
