"""What Database does when PostgreSQL goes away, comes back, is slow, or is in the way."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid

import asyncpg
import pytest

from service.adapters.database import Database
from service.core.errors import DatabaseUnavailable
from tests.integration.service.away import WAYS, ask, block, kill, kill_others, pool, watching, words
from tests.integration.service.away import url as url  # noqa: PLC0414 - a fixture
from tests.integration.service.conftest import run
from tests.integration.service.servers import Postgres


def test_a_server_that_is_killed_is_missed_at_once_and_found_again(own_postgres: Postgres) -> None:
    """The same Database all the time; connections of the old server are in its pool."""

    async def work() -> None:
        async with pool(own_postgres.url("app"), 3) as database:
            async with database.direct(), database.transaction() as session:
                assert await ask(session, "SELECT 1") == 1
            own_postgres.stop(signal.SIGKILL)
            for _ in range(3):
                for way in WAYS:
                    begun = time.monotonic()
                    with pytest.raises(DatabaseUnavailable) as failed:
                        async with block(database, way):
                            pytest.fail("a transaction began")
                    assert failed.value.code == "DATABASE_UNAVAILABLE"
                    assert time.monotonic() - begun < 1
            own_postgres.start()
            for way in WAYS:
                async with block(database, way) as held:
                    assert await ask(held, "SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_is_killed_meanwhile(own_postgres: Postgres, way: str) -> None:
    """In the middle of a transaction, and before it is committed."""

    async def work() -> None:
        async with pool(own_postgres.url("app"), 2) as database:
            with pytest.raises(DatabaseUnavailable):
                async with block(database, way) as first:
                    kill(own_postgres, await ask(first, "SELECT pg_backend_pid()"))
                    await ask(first, "SELECT 1")
            own_postgres.start()
            with pytest.raises(DatabaseUnavailable):
                async with block(database, way) as second:
                    kill(own_postgres, await ask(second, "SELECT pg_backend_pid()"))
            own_postgres.start()
            async with block(database, way) as third:
                assert await ask(third, "SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("noticed", [False, True], ids=["at once", "a moment later"])
def test_connections_that_the_server_ended_are_replaced(url: str, way: str, noticed: bool) -> None:
    """Nobody is told: nothing had happened yet."""

    async def work() -> None:
        async with pool(url, 5) as database, watching(url) as control:
            for _ in range(5):
                held = [block(database, way) for _ in range(5)]
                for one in held:
                    await one.__aenter__()
                for one in held:
                    await one.__aexit__(None, None, None)
                assert await kill_others(control) == 5
                if noticed:
                    await asyncio.sleep(0.05)
                async with block(database, way) as found:
                    assert await ask(found, "SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_what_was_under_way_when_the_connection_ended_is_not_tried_again(url: str, way: str) -> None:
    async def work() -> None:
        async with pool(url) as database, watching(url) as control:
            times = 0
            with pytest.raises(DatabaseUnavailable) as failed:
                async with block(database, way) as held:
                    times += 1
                    await ask(held, "UPDATE note SET word = 'new'")
                    await kill_others(control)
                    await ask(held, "SELECT 1")
            assert (times, failed.value.code) == (1, "DATABASE_UNAVAILABLE")
            assert await words(control) == ["old", "old"]

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_statement_that_takes_too_long(url: str, way: str) -> None:
    """The server ends it; the connection stays."""

    async def work() -> None:
        async with pool(url, statement_timeout=0.2) as database:
            async with database.direct() as driver:
                process = await ask(driver, "SELECT pg_backend_pid()")
            with pytest.raises(DatabaseUnavailable) as failed:
                async with block(database, way) as held:
                    await ask(held, "SELECT pg_sleep(5)")
            assert failed.value.code == "DATABASE_TIMEOUT"
            async with block(database, way) as held:
                assert await ask(held, "SELECT pg_backend_pid()") == process

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_a_pool_that_is_exhausted(url: str, way: str) -> None:
    async def work() -> None:
        async with pool(url, timeout=0.3) as database:
            async with block(database, way):
                begun = time.monotonic()
                with pytest.raises(DatabaseUnavailable) as failed:
                    async with block(database, way):
                        pytest.fail("a transaction began")
                assert failed.value.code == "DATABASE_BUSY"
                assert 0.25 < time.monotonic() - begun < 1.5
            async with block(database, way) as held:
                assert await ask(held, "SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_was_swallowed_is_not_a_commit(url: str, way: str) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, and no error."""

    async def work() -> None:
        async with pool(url) as database, watching(url) as control:
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                async with block(database, way) as held:
                    await ask(held, "UPDATE note SET word = 'new'")
                    with pytest.raises(Exception, match="division by zero"):
                        await ask(held, "SELECT 1 / 0")
            assert await words(control) == ["old", "old"]
            async with block(database, way) as held:
                await ask(held, "UPDATE note SET word = 'new'")
            assert await words(control) == ["new", "new"]

    run(work())


@pytest.mark.parametrize("way", WAYS)
def test_two_who_wait_for_each_other(url: str, way: str) -> None:
    """One of them is told to try again; the other goes on."""

    async def one(database: Database, met: asyncio.Barrier, first: int, second: int) -> str:
        try:
            async with block(database, way) as held:
                await ask(held, f"UPDATE note SET word = '{uuid.uuid4()}' WHERE id = {first}")  # noqa: S608
                await met.wait()
                await ask(held, f"UPDATE note SET word = '{uuid.uuid4()}' WHERE id = {second}")  # noqa: S608
        except DatabaseUnavailable as error:
            return error.code
        return "done"

    async def work() -> None:
        met = asyncio.Barrier(2)
        async with pool(url, 2) as database:
            ended = await asyncio.gather(one(database, met, 1, 2), one(database, met, 2, 1))
            assert sorted(ended) == ["DATABASE_BUSY", "done"]
            async with block(database, way) as held:
                assert await ask(held, "SELECT 1") == 1

    run(work())
