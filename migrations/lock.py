"""One migration of a database at a time, however many processes try.

A session lock, on a connection of its own that does nothing else: CREATE INDEX CONCURRENTLY ends transactions, and a
transaction's lock with them. It is asked for again and again rather than waited for: who waits inside a statement holds
a snapshot, for which CREATE INDEX CONCURRENTLY of the one that has the lock would wait forever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from service.core.errors import MigrationFailed

KEY = 0x6A656578  # "jeex"; the lock is per database
_POLL = 0.1  # seconds


@asynccontextmanager
async def only_one(connection: asyncpg.Connection, *, wait: float) -> AsyncIterator[None]:
    """Hold the lock on `connection`; MigrationFailed when another has it for more than `wait` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", KEY):
        if loop.time() > deadline:
            raise MigrationFailed(
                f"another process has been migrating this database for {wait:g} s", code="MIGRATION_LOCKED"
            )
        await asyncio.sleep(_POLL)
    try:
        yield
    finally:
        # A connection that is gone has let go of the lock already.
        if not connection.is_closed():
            await connection.fetchval("SELECT pg_advisory_unlock($1)", KEY)


async def holders(connection: asyncpg.Connection) -> list[str]:
    """Who has tables of ours locked, oldest connection first: what stands in the way of a statement that waited in vain.

    The owner is not told how long, or with which statement: that is for a superuser.
    """
    rows = await connection.fetch(
        """
        SELECT pid, coalesce(usename, '?') AS who, coalesce(nullif(application_name, ''), '?') AS program,
               string_agg(DISTINCT relname || ' (' || mode || ')', ', ') AS tables
          FROM pg_locks JOIN pg_class c ON c.oid = relation JOIN pg_stat_activity USING (pid)
         WHERE granted AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND application_name <> 'jeex-migrate'
         GROUP BY pid, usename, application_name, backend_start ORDER BY backend_start LIMIT 5
        """
    )
    return [f"process {row['pid']} ({row['who']}, {row['program']}) holds {row['tables']}" for row in rows]
