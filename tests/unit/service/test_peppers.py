"""Peppers: which one, how often Vault is asked, and passwords that were mixed with them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import argon2
import pytest

from service.adapters.secret_store import LocalSecrets, SecretVersion
from service.core.errors import Unavailable, VaultUnavailable
from service.services.passwords import Passwords
from service.services.peppers import Peppers
from service.services.secrets import PEPPER, new_pepper

RIGHT = "correct horse battery"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Vaultlike:
    """Where peppers are read from. While `away` is set it cannot be reached; `readings` counts."""

    def __init__(self) -> None:
        self.store = LocalSecrets()
        self.store.put(PEPPER, new_pepper())
        self.away = False
        self.readings = 0
        self.now = 0.0

    async def read(self, version: int | None) -> SecretVersion | None:
        self.readings += 1
        if self.away:
            raise VaultUnavailable("Vault is away")
        return self.store.get(PEPPER, version)

    def peppers(self) -> Peppers:
        return Peppers(self.read, clock=lambda: self.now)

    def passwords(self) -> Passwords:
        return Passwords(self.peppers(), hasher=CHEAP)


@pytest.fixture
def vault() -> Vaultlike:
    return Vaultlike()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_a_hash_says_which_pepper_and_is_no_good_without_it(vault: Vaultlike) -> None:
    async def work() -> None:
        stored = await vault.passwords().hash(RIGHT)
        assert stored.startswith("$argon2id$")
        assert stored.endswith("#1")
        assert await vault.passwords().verify(stored, RIGHT)
        assert not await vault.passwords().verify(stored, "another horse")
        # Whoever has the database and guesses right cannot tell.
        assert not await Passwords(hasher=CHEAP).verify(stored.removesuffix("#1"), RIGHT)
        other = Vaultlike()
        assert not await other.passwords().verify(stored, RIGHT)

    run(work())


def test_after_a_rotation_old_hashes_hold_and_are_to_be_made_anew(vault: Vaultlike) -> None:
    async def work() -> None:
        passwords = vault.passwords()
        old = await passwords.hash(RIGHT)
        assert not passwords.needs_rehash(old)
        vault.store.put(PEPPER, new_pepper())
        vault.now = 61
        new = await passwords.hash(RIGHT)
        assert new.endswith("#2")
        assert await passwords.verify(old, RIGHT)
        assert await passwords.verify(new, RIGHT)
        assert passwords.needs_rehash(old)
        assert not passwords.needs_rehash(new)
        # Another process, which knows of the first pepper alone, meets a hash of the second.
        late = vault.passwords()
        assert await late.verify(new, RIGHT)
        assert late.needs_rehash(old)

    run(work())


def test_hashes_from_before_there_were_peppers_hold_and_are_to_be_made_anew(vault: Vaultlike) -> None:
    async def work() -> None:
        old = await Passwords(hasher=CHEAP).hash(RIGHT)
        passwords = vault.passwords()
        assert await passwords.verify(old, RIGHT)
        assert not await passwords.verify(None, RIGHT)
        await passwords.hash(RIGHT)  # from then on it knows that there are peppers
        assert passwords.needs_rehash(old)

    run(work())


def test_vault_is_asked_once_a_minute_and_not_at_all_for_what_is_known(vault: Vaultlike) -> None:
    async def work() -> None:
        passwords = vault.passwords()
        stored = [await passwords.hash(RIGHT) for _ in range(5)]
        assert all([await passwords.verify(one, RIGHT) for one in stored])
        assert vault.readings == 1
        vault.away = True
        vault.now = 1000
        assert await passwords.verify(await passwords.hash(RIGHT), RIGHT)

    run(work())


def test_what_cannot_be_told_is_no_verdict(vault: Vaultlike) -> None:
    async def work() -> None:
        stored = await vault.passwords().hash(RIGHT)
        vault.away = True
        for what in (vault.passwords().verify(stored, RIGHT), vault.passwords().hash(RIGHT)):
            with pytest.raises(VaultUnavailable):
                await what
        with pytest.raises(Unavailable, match="needs a pepper"):
            await Passwords(hasher=CHEAP).verify(stored, RIGHT)
        vault.away = False
        vault.store = LocalSecrets()
        with pytest.raises(VaultUnavailable) as caught:
            await vault.passwords().hash(RIGHT)
        assert caught.value.code == "VAULT_PEPPER_MISSING"

    run(work())


def test_no_pepper_shows(vault: Vaultlike) -> None:
    async def work() -> None:
        pepper = await vault.peppers().current()
        assert pepper.value.reveal() not in repr(pepper)

    run(work())
