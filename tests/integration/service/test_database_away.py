"""What Database does when PostgreSQL goes away, comes back, is slow, or is in the way; and when the caller goes away."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from service.adapters.database import Database
from service.core.errors import DatabaseUnavailable
from service.core.settings import Secret
from tests.integration.service.conftest import run
from tests.integration.service.machine import until
from tests.integration.service.servers import Postgres

WAYS = ("direct", "transaction")


@pytest.fixture
def url(postgres: Postgres, empty_database: str) -> str:
    """A database with one table; row security has no part in this."""
    postgres.sql("CREATE TABLE note (id int PRIMARY KEY, word text)", database=empty_database)
    postgres.sql("INSERT INTO note VALUES (1, 'old'), (2, 'old'); GRANT ALL ON note TO jeex_app", database=empty_database)
    return postgres.url("app", empty_database)


def pool(url: str, size: int = 1, **options: Any) -> Database:
    return Database(Secret(url), pool_size=size, **{"timeout": 2.0, **options})


def block(database: Database, way: str) -> AbstractAsyncContextManager[Any]:
    return database.direct() if way == "direct" else database.transaction()


async def ask(held: Any, statement: str) -> Any:
    """The first value of what `statement` answers."""
    if isinstance(held, asyncpg.Connection):
        return await held.fetchval(statement)
    found = await held.execute(text(statement))
    return found.scalar() if found.returns_rows else None


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own that sees what is going on in the same database, and may end it."""
    control = await asyncpg.connect(url)
    try:
        yield control
    finally:
        await control.close()


def kill(server: Postgres, backend: int) -> None:
    """The server, and wait for the process behind one connection: that one ends by itself, a moment later."""
    server.stop(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{backend}").exists())


async def words(control: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await control.fetch("SELECT word FROM note ORDER BY id")]


async def others(control: asyncpg.Connection, state: str) -> int:
    """How many other connections to this database are in a state that begins so."""
    found: int = await control.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND starts_with(state, $1)",
        state,
    )
    return found


async def kill_others(control: asyncpg.Connection) -> int:
    found: int = await control.fetchval(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
    )
    return found


async def soon(question: Any, seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while not await question():
        assert time.monotonic() < deadline, "did not come true"
        await asyncio.sleep(0.01)


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
            await soon(lambda: _none(control))

    run(work())


async def _none(control: asyncpg.Connection) -> bool:
    return await others(control, "active") + await others(control, "idle in transaction") == 0


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
