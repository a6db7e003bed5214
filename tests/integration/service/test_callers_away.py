"""What Database does when the caller goes away: nothing of it stays, and its connection serves the next."""

from __future__ import annotations

import asyncio

import pytest

from service.adapters.database import Database
from tests.integration.service.away import WAYS, ask, block, nobody, others, pool, soon, watching, words
from tests.integration.service.away import url as url  # noqa: PLC0414 - a fixture
from tests.integration.service.conftest import run


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_caller_gives_its_connection_back(url: str, way: str) -> None:
    """Twenty times over a pool of one; and the server stops at once, so that no lock outlives the caller."""

    async def one(database: Database) -> None:
        async with block(database, way) as held:
            await ask(held, "UPDATE note SET word = 'new'")
            await ask(held, "SELECT pg_sleep(30)")

    async def work() -> None:
        async with pool(url) as database, watching(url) as control:
            for number in range(20):
                task = asyncio.create_task(one(database))
                await asyncio.sleep(number / 1000)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await others(control, "active") + await others(control, "idle in transaction") <= 1
                async with block(database, way) as held:
                    assert await ask(held, "SELECT word FROM note WHERE id = 1 FOR UPDATE NOWAIT") == "old"
            await soon(lambda: nobody(control))

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_caller_that_is_cancelled_while_it_waits_takes_nothing(url: str, way: str) -> None:
    async def one(database: Database) -> None:
        async with block(database, way):
            pytest.fail("a transaction began")

    async def work() -> None:
        async with pool(url) as database:
            async with block(database, way):
                tasks = [asyncio.create_task(one(database)) for _ in range(20)]
                await asyncio.sleep(0.02)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert all(task.cancelled() for task in tasks)
            async with block(database, way) as held:
                assert await ask(held, "SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_caller_that_is_cancelled_while_it_rolls_back_leaves_nothing(url: str, way: str) -> None:
    """At any point of it. What it had done must not be committed by whoever comes next over that connection."""

    async def one(database: Database, failing: asyncio.Event) -> None:
        async with block(database, way) as held:
            await ask(held, "UPDATE note SET word = 'new'")
            failing.set()
            raise RuntimeError("the caller fails")

    async def work() -> None:
        async with pool(url) as database, watching(url) as control:
            for turns in range(30):
                failing = asyncio.Event()
                task = asyncio.create_task(one(database, failing))
                await failing.wait()
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises((asyncio.CancelledError, RuntimeError)):
                    await task
                async with block(database, way) as held:
                    await ask(held, "SELECT 1")
                assert await words(control) == ["old", "old"]

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_caller_that_is_cancelled_twice_leaves_nothing(url: str, way: str) -> None:
    """The second time while the first statement is being stopped, before ROLLBACK is even sent."""

    async def one(database: Database, going: asyncio.Event) -> None:
        async with block(database, way) as held:
            await ask(held, "UPDATE note SET word = 'new'")
            going.set()
            await ask(held, "SELECT pg_sleep(0.1)")

    async def work() -> None:
        async with pool(url) as database, watching(url) as control:
            for turns in range(30):
                going = asyncio.Event()
                task = asyncio.create_task(one(database, going))
                await going.wait()
                for _ in range(turns % 3):
                    await asyncio.sleep(0)
                task.cancel()
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                async with block(database, way) as held:
                    await ask(held, "SELECT 1")
                assert await words(control) == ["old", "old"]

    run(work())
