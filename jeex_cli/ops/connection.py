"""One connection of the driver's, as one of the stack's roles, for what a command asks PostgreSQL itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from jeex_cli.errors import JeexError, Unhealthy
from jeex_cli.ops import database
from jeex_cli.session import Session

T = TypeVar("T")


def ask(session: Session, role: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """What `work` answers, given a connection as `role`. Raises Unhealthy where there is none, JeexError for a statement
    that PostgreSQL refuses and that `work` does not explain better."""

    async def run() -> T:
        async with connected(session, role) as connection:
            return await work(connection)

    return asyncio.run(run())


@asynccontextmanager
async def connected(session: Session, role: str) -> AsyncIterator[Any]:
    """The connection, closed afterwards."""
    import asyncpg

    try:
        connection = await asyncpg.connect(
            database.url(session, role), timeout=5, ssl=False, server_settings={"application_name": "jeex-cli"}
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        refused = isinstance(error, asyncpg.InvalidAuthorizationSpecificationError)
        raise Unhealthy(
            f"PostgreSQL {'refuses' if refused else 'cannot be reached as'} {role}: {error or type(error).__name__}",
            code="DATABASE_REFUSED" if refused else "DATABASE_UNAVAILABLE",
            hint="jeex up; jeex status",
        ) from error
    try:
        yield connection
    except asyncpg.LockNotAvailableError as error:
        raise JeexError(
            "a table is in use by somebody else", code="DATABASE_IN_USE", hint="jeex doctor says who; then try again"
        ) from error
    except (asyncpg.PostgresConnectionError, OSError) as error:
        raise Unhealthy(
            f"the connection to PostgreSQL was lost: {error}", code="DATABASE_UNAVAILABLE", hint="jeex up; jeex status"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise JeexError(f"PostgreSQL refused a statement: {error}", code="STATEMENT_REFUSED") from error
    finally:
        try:
            await connection.close(timeout=2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()
