"""SQLAlchemy's connection for what Alembic does, and what goes wrong with it in our words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from service.core.errors import DatabaseUnavailable, MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

T = TypeVar("T")

CONNECT_TIMEOUT = 5.0  # seconds
# How long a statement of a migration waits for a table that requests use. Behind it every new request would queue.
LOCK_TIMEOUT = 5.0  # seconds
PATIENCE = f"SET lock_timeout = '{LOCK_TIMEOUT:g}s'"


class LockTimedOut(MigrationFailed):
    """A table was in use for longer than LOCK_TIMEOUT; may go well when it is tried again."""


async def with_engine(
    owner_url: str, work: Callable[[Connection], T], *, watch: Callable[[Connection], None] | None = None
) -> T:
    """What `work` answers, given a connection of the owner; `watch` is given it first. Raises MigrationFailed."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(
        make_url(owner_url).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "server_settings": {
                "application_name": "jeex-migrate",
                "lock_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
                # When this process is killed, a statement that waits must not go on without it: the next would meet it.
                "client_connection_check_interval": "1000",
            },
        },
    )
    try:
        async with engine.connect() as connection:
            if watch is not None:
                await connection.run_sync(watch)
            return await connection.run_sync(work)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, asyncpg.LockNotAvailableError):
            raise LockTimedOut(
                f"a table was in use for {LOCK_TIMEOUT:g} s; the revision was not finished",
                code="MIGRATION_LOCK_TIMEOUT",
                hint="try again; end long transactions if it stays so",
            ) from error
        if error.connection_invalidated or isinstance(cause, asyncpg.InterfaceError | OSError):
            raise DatabaseUnavailable(f"the connection to PostgreSQL was lost: {cause or error.orig}") from error
        raise MigrationFailed(f"PostgreSQL refused a statement: {cause or error.orig}") from error
    finally:
        await engine.dispose()
