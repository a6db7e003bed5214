"""Secrets that were read a moment ago are not asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from service.adapters.secret_cache import SecretCache
from service.adapters.secret_store import LocalSecrets
from service.core.errors import VaultUnavailable


class Session:
    """A way into a store in memory. While `away` is set it cannot be reached; `readings` counts."""

    def __init__(self) -> None:
        self.store = LocalSecrets()
        self.readings = 0
        self.away = False

    async def run(self, work: Callable[[Any], Any]) -> Any:
        self.readings += 1
        await asyncio.sleep(0.01)
        if self.away:
            raise VaultUnavailable("Vault is away")
        return self.store.get("jeex/a")


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_hundred_at_once_ask_once_and_again_after_a_while(session: Session) -> None:
    now = 0.0
    given: Any = session

    async def work() -> None:
        nonlocal now
        cache = SecretCache(given, seconds=15, clock=lambda: now)
        assert await asyncio.gather(*(cache.get("jeex/a") for _ in range(100))) == [None] * 100
        session.store.put("jeex/a", {"x": "1"})
        assert await cache.get("jeex/a") is None  # what is not there is remembered as well
        assert session.readings == 1
        now = 16.0
        found = await cache.get("jeex/a")
        assert found is not None
        assert found.values == {"x": "1"}
        assert session.readings == 2

    asyncio.run(work())


def test_a_failure_is_not_remembered_and_one_who_gives_up_fails_nobody_else(session: Session) -> None:
    given: Any = session

    async def work() -> None:
        cache = SecretCache(given)
        session.away = True
        with pytest.raises(VaultUnavailable):
            await cache.get("jeex/a")
        session.away = False
        first, second = asyncio.create_task(cache.get("jeex/a")), asyncio.create_task(cache.get("jeex/a"))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is None
        assert session.readings == 2

    asyncio.run(work())
