"""PostgreSQL: the one place where transactions begin and end.

`Database.transaction(tenant_id)` (SQLAlchemy) and `Database.direct(tenant_id)` (the driver, for what is asked most) are how
everything else reaches the database. Both send BEGIN, the tenant and the ids of the request as one message, commit when the
block ends well and roll back otherwise; nothing else commits. Without a tenant, tables under row security raise.

SQLAlchemy is in AUTOCOMMIT because of that: it neither begins nor ends anything behind our back.

Connections come from a pool that recovers by itself (pool.py). Only BEGIN is ever tried again, for before it nothing has
happened: once with another connection, and once with another login where PostgreSQL does not take the one that there is.
What is wrong with the connection becomes DatabaseUnavailable (failures.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.adapters import tenancy
from service.adapters.failures import LOST, is_of_server, is_refused, is_without_rights, unavailable
from service.adapters.freshness import Changes, Scope, collected
from service.adapters.logins import Login, Logins
from service.adapters.pool import Connected, HeldT, Pool, Raw, Usage
from service.core import correlation
from service.core.errors import DatabaseUnavailable
from service.core.settings import Secret
from service.core.spans import NO_SPANS, Spans

_ROLLBACK = 2.0  # seconds for a transaction to end
_LOCK_TIMEOUT = 10.0  # seconds for a row that another transaction holds
# A tenant with a tenth of all rows turns a prepared keyset page into a generic plan after five runs: 130 times slower.
_CUSTOM_PLANS = "; SET LOCAL plan_cache_mode = force_custom_plan"


@dataclass(frozen=True, slots=True)
class Schema:
    """What the server says of itself: its version, and the revision of the schema (None: not migrated)."""

    server_version: str
    revision: str | None


class Database:
    """A pool of connections as one role.

    `timeout` bounds connecting and waiting for a free connection, `statement_timeout` each statement, in seconds.
    `pooler` is "transaction" where connections go through one such as PgBouncer: then no prepared statement and no setting
    outlives a transaction. With `logins` the URL says where the server is, and they as whom to connect.
    `changes` is told of what transactions change (freshness.py).
    """

    def __init__(
        self,
        url: Secret,
        *,
        pool_size: int = 10,
        timeout: float = 5.0,
        statement_timeout: float = 30.0,
        pooler: str = "none",
        name: str = "jeex-api",
        logins: Logins | None = None,
        changes: Changes | None = None,
        spans: Spans = NO_SPANS,
    ) -> None:
        # JSON that PostgreSQL writes has times in the session's zone.
        options = {"application_name": name, "timezone": "UTC"}
        limits = {
            "statement_timeout": f"{statement_timeout * 1000:.0f}",
            "lock_timeout": f"{min(_LOCK_TIMEOUT, statement_timeout) * 1000:.0f}",
        }
        pooled: dict[str, Any] = {}
        self._name = name
        self._limits = ""
        if pooler == "transaction":
            self._limits = "".join(f"; SET LOCAL {option} = {value}" for option, value in limits.items())
            pooled = {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": _unnamed,
            }
        else:
            options |= limits
        self._pool = Pool(
            url,
            size=pool_size,
            timeout=timeout,
            statement_timeout=statement_timeout,
            options={"server_settings": options, **pooled},
            logins=logins,
        )
        self._changes = changes
        self._spans = spans
        self._sessions = async_sessionmaker(expire_on_commit=False, sync_session_class=tenancy.TenantSession)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, and give the login back."""
        await self._pool.close()

    @property
    def login(self) -> Login | None:
        """The login of new connections; None where there is none yet, or where it never ends."""
        return self._pool.login

    @property
    def usage(self) -> Usage:
        """How many connections there may be, are, and are in use."""
        return self._pool.usage

    async def turn_over(self, issued: Callable[[], None]) -> None:
        """Go on with a new login; see Pool. Raises VaultUnavailable, then everything stays as it was."""
        await self._pool.turn_over(issued)

    @asynccontextmanager
    async def direct(self, tenant_id: uuid.UUID | None = None, *, pages: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """The driver's connection in a transaction, bound to `tenant_id`. Raises DatabaseUnavailable.

        `pages` is for lists: they are planned for the tenant at hand every time.
        """
        comment, begin = self._begin(tenant_id)
        with self._spans.span("postgresql.transaction"), collected() as touched:
            held = await self._begun(self._pool.raw, begin + (_CUSTOM_PLANS if pages else ""))
            try:
                yield held.driver
                await self._commit(held.driver, comment, touched)
            except BaseException as error:
                await self._give_up(held, error)
                raise
            finally:
                await held.close()

    @asynccontextmanager
    async def transaction(self, tenant_id: uuid.UUID | None = None) -> AsyncIterator[AsyncSession]:
        """A session in a transaction, bound to `tenant_id`. Raises DatabaseUnavailable."""
        comment, begin = self._begin(tenant_id)
        with self._spans.span("postgresql.transaction"), collected() as touched:
            held = await self._begun(self._pool.connected, begin)
            try:
                async with self._sessions(bind=held.connection) as session:
                    if tenant_id is not None:
                        session.info["tenant_id"] = tenant_id
                    yield session
                    await session.flush()
                    await self._commit(held.driver, comment, touched)
            except BaseException as error:
                await self._give_up(held, error)
                raise
            finally:
                await held.close()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside of any transaction, closed afterwards: to listen with. Raises DatabaseUnavailable."""
        held = await self._begun(self._pool.raw, "SELECT 1")
        try:
            yield held.driver
        finally:
            held.driver.terminate()
            await held.invalidate()
            await held.close()

    async def schema(self) -> Schema:
        """The server's version and the schema's revision. Raises DatabaseUnavailable."""
        async with self.direct() as driver:
            version, migrated = await driver.fetchrow(
                "SELECT current_setting('server_version'), to_regclass('public.alembic_version') IS NOT NULL"
            )
            revision = await driver.fetchval("SELECT version_num FROM public.alembic_version") if migrated else None
        return Schema(str(version).split(" ", 1)[0], revision)

    def _begin(self, tenant_id: uuid.UUID | None) -> tuple[str, str]:
        """The comment that says what a transaction is for, and the message that begins it."""
        comment, name = correlation.begin(self._name)
        return comment, f"{comment}BEGIN{self._limits}{name}{_bind(tenant_id) if tenant_id else ''}"

    async def _commit(self, driver: asyncpg.Connection, comment: str, touched: Set[Scope]) -> None:
        if not touched or self._changes is None:
            await _commit(driver, comment)
            return
        scopes = frozenset(touched)
        announced = False
        try:
            announced = await self._changes.announce(scopes)
            await _commit(driver, comment)
        finally:  # whatever became of it, nobody knows it better than PostgreSQL
            await self._changes.done(scopes, announced=announced)

    async def _give_up(self, held: Raw | Connected, error: BaseException) -> None:
        """End the transaction. Raises DatabaseUnavailable where `error` speaks of the connection or the server.

        Work that was cancelled may still be going on in PostgreSQL, with its locks: ROLLBACK waits until the driver has told
        it to stop. A connection whose ROLLBACK is not known to have been done is never used again, or who comes next would
        commit what was to be undone.
        """
        driver = held.driver
        lost = driver.is_closed()
        usable = is_nobodys = False
        try:
            if isinstance(error, Exception | asyncio.CancelledError) and not lost:
                async with asyncio.timeout(_ROLLBACK):
                    await driver.execute("ROLLBACK")
                    is_nobodys = held.login is not None and is_without_rights(error) and await _is_nobodys(driver)
                usable = not is_nobodys
        except LOST:
            lost = True
        finally:
            if not usable:
                driver.terminate()
                await held.invalidate()
        if is_nobodys:
            with contextlib.suppress(DatabaseUnavailable):  # the other connections are no better
                await self._pool.signed_in(other_than=held.login)
            raise unavailable(None) from error
        if isinstance(error, LOST) and (lost or is_of_server(error)):
            raise unavailable(error) from error

    async def _begun(self, take: Callable[[], Awaitable[HeldT]], begin: str) -> HeldT:
        """A connection from the pool in a transaction. One that turns out to be dead is replaced, once; so is a login."""
        last = replaced = False
        while True:
            login = await self._pool.signed_in()
            try:
                held = await take()
            except LOST as error:
                if login is None or replaced or not is_refused(error):
                    raise unavailable(error) from error
                await self._pool.signed_in(other_than=login)
                replaced = True
                continue
            try:
                await held.driver.execute(begin)
            except asyncio.CancelledError as error:
                try:
                    await self._give_up(held, error)
                finally:
                    await held.close()
                raise
            except BaseException as error:
                lost = held.driver.is_closed() or isinstance(error, asyncpg.InternalClientError)
                held.driver.terminate()
                await held.invalidate()
                await held.close()
                if not isinstance(error, LOST):
                    raise
                if last or not lost:
                    raise unavailable(error) from error
                last = True
            else:
                return held


async def bind_tenant(session: AsyncSession, tenant_id: uuid.UUID) -> None:
    """Bind the rest of the transaction to a tenant. SET takes no parameters: the literal is rendered from a UUID."""
    session.info["tenant_id"] = tenant_id
    await session.execute(text(_bind(tenant_id).removeprefix("; ")))


async def bind_driver(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
    """The same for a connection that `direct` has given."""
    await driver.execute(_bind(tenant_id).removeprefix("; "))


async def driver_of(session: AsyncSession) -> asyncpg.Connection:
    """The driver's connection below a session, in the same transaction. Flush first what it should see."""
    connection: asyncpg.Connection = (await (await session.connection()).get_raw_connection()).driver_connection
    return connection


def _bind(tenant_id: uuid.UUID) -> str:
    if not isinstance(tenant_id, uuid.UUID):
        raise TypeError("a tenant is bound by its UUID")
    return f"; SET LOCAL app.tenant_id = '{tenant_id}'"


async def _commit(driver: asyncpg.Connection, comment: str) -> None:
    # After a statement that failed, COMMIT succeeds and rolls back. Whoever caught that error must not take it for done.
    if await driver.execute(f"{comment}COMMIT") != "COMMIT":
        raise asyncpg.InFailedSQLTransactionError("a statement of this transaction failed, and it was not ended for it")


async def _is_nobodys(driver: asyncpg.Connection) -> bool:
    """Whether the role that is signed in is gone. Dropping one ends no session of its own accord, and who is just signing in
    is not yet among those that Vault cuts off: such a session goes on, and may do nothing."""
    try:
        await driver.fetchval("SELECT session_user")
    except asyncpg.UndefinedObjectError:
        return True
    return False


def _unnamed() -> str:
    """A prepared statement that the next one replaces: behind a pooler, names would outlive us."""
    return ""
