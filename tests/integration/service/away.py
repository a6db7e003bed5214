"""Connections that PostgreSQL or a caller ends in the midst of something, as another connection sees and causes it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from service.adapters.database import Database
from service.core.settings import Secret
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


async def nobody(control: asyncpg.Connection) -> bool:
    return await others(control, "active") + await others(control, "idle in transaction") == 0
