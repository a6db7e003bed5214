"""A database of a moment's, on the same server, with the schema that the revisions make. Always dropped; one that a killed
process has left is dropped by the next."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from migrations import runner
from migrations.engine import CONNECT_TIMEOUT
from service.core.errors import DatabaseUnavailable

_PREFIX = "jeex_scratch_"


@contextmanager
def migrated(superuser_url: str, owner_url: str) -> Iterator[str]:
    """The owner's URL of a new database at the newest revision. Raises DatabaseUnavailable, MigrationFailed."""
    name = f"{_PREFIX}{secrets.token_hex(4)}"
    owner = urlsplit(owner_url)
    try:
        _run(superuser_url, f"CREATE DATABASE {name} OWNER {owner.username} TEMPLATE template0")
        url = owner._replace(path=f"/{name}").geturl()
        runner.upgrade(url)
        yield url
    finally:
        _run(superuser_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _run(url: str, statement: str) -> None:
    async def run() -> None:
        try:
            connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error
        try:
            left = await connection.fetch(
                "SELECT datname FROM pg_database d WHERE starts_with(datname, $1) "
                "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) "
                # One that is being made at this moment has no connection either.
                "AND (pg_stat_file('base/' || oid || '/PG_VERSION')).modification < now() - interval '10 minutes'",
                _PREFIX,
            )
            for (name,) in left:
                await connection.execute(f"DROP DATABASE IF EXISTS {name}")
            await connection.execute(statement)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT)

    asyncio.run(run())
