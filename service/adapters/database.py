"""PostgreSQL: the pool, and the one place where transactions begin and end.

`Database.transaction(tenant_id)` is how everything else reaches the database. It binds the tenant for the length of the
transaction, commits when the block ends well and rolls back otherwise; nothing else commits. Without a tenant, tables
under row security raise.

The pool recovers by itself: a connection that the server has closed is noticed when it is taken out, without a round trip,
and then the whole pool is made anew. What is wrong with the connection becomes DatabaseUnavailable, here and only here.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from service.core.errors import DatabaseUnavailable
from service.core.settings import Secret

# A statement that the server does not end by itself (the roles have limits of their own) is given up after this.
_COMMAND_TIMEOUT = 65.0  # seconds
# SQLSTATE classes and codes that speak of the connection or the server, not of the statement.
_UNAVAILABLE = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "28", "3D000")
_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Schema:
    """What the server says of itself: its version, and the revision of the schema (None: not migrated)."""

    server_version: str
    revision: str | None


class Database:
    """A pool of connections as one role. `timeout` bounds connecting and waiting for a free connection, in seconds."""

    def __init__(self, url: Secret, *, pool_size: int = 10, timeout: float = 5.0, name: str = "jeex-api") -> None:
        self._engine = create_async_engine(
            make_url(url.reveal()).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            connect_args={
                "timeout": timeout,
                "command_timeout": _COMMAND_TIMEOUT,
                "server_settings": {"application_name": name},
            },
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self, tenant_id: uuid.UUID | None = None) -> AsyncIterator[AsyncSession]:
        """A session in a transaction, bound to `tenant_id`. Raises DatabaseUnavailable."""
        async with self._sessions() as session:
            try:
                await session.connection()
            except (OSError, TimeoutError, PoolTimeout, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise _unavailable(error) from error
            try:
                if tenant_id is not None:
                    await bind_tenant(session, tenant_id)
                yield session
                await session.commit()
            except DBAPIError as error:
                if error.connection_invalidated or _speaks_of_connection(error):
                    raise _unavailable(error) from error
                raise

    async def schema(self) -> Schema:
        """The server's version and the schema's revision. Raises DatabaseUnavailable."""
        async with self.transaction() as session:
            version, migrated = (
                await session.execute(
                    text("SELECT current_setting('server_version'), to_regclass('public.alembic_version') IS NOT NULL")
                )
            ).one()
            revision = await session.scalar(text("SELECT version_num FROM public.alembic_version")) if migrated else None
        return Schema(str(version).split(" ", 1)[0], revision)


async def bind_tenant(session: AsyncSession, tenant_id: uuid.UUID) -> None:
    """Bind the rest of the transaction to a tenant. SET takes no parameters: the literal is rendered from a UUID."""
    if not isinstance(tenant_id, uuid.UUID):
        raise TypeError("a tenant is bound by its UUID")
    session.info["tenant_id"] = tenant_id
    await session.execute(text(f"SET LOCAL app.tenant_id = '{tenant_id}'"))


def violated(error: IntegrityError) -> str:
    """The name of the constraint that refused a row, "" when it has none."""
    cause = error.orig.__cause__ if error.orig else None
    return str(getattr(cause, "constraint_name", None) or "")


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # asyncpg hears of a closed connection while it idles. One that is closed means that the server went away: all go.
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _speaks_of_connection(error: BaseException) -> bool:
    code = str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
    return code.startswith(_UNAVAILABLE) or code == _CANCELED


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    code = str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
    if code == _CANCELED:
        return DatabaseUnavailable("PostgreSQL took too long for a statement", code="DATABASE_TIMEOUT")
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("every connection to PostgreSQL is in use", code="DATABASE_BUSY")
    if code.startswith(("28", "3D")):
        return DatabaseUnavailable("PostgreSQL refuses the service's credentials", code="DATABASE_REFUSED")
    return DatabaseUnavailable("PostgreSQL cannot be reached")
