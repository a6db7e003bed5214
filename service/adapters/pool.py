"""Connections to PostgreSQL, kept: as whom they are made, and which of them are handed out.

A connection that the server has closed is noticed when it is taken out, without a round trip, and then the whole pool is
made anew. Where logins end (`Logins`), every connection knows which one it was made with. `turn_over` changes the login:
connections are made anew one by one, beside the requests; then none of the old one is handed out any more, those in use
finish what they do, and the old login is given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool
from sqlalchemy.util import greenlet_spawn

from service.adapters.failures import LOST
from service.adapters.logins import Login, Logins
from service.core.errors import DatabaseUnavailable, VaultUnavailable
from service.core.settings import Secret

# What the driver waits beyond the limit that the server keeps: the server says more when it is the one to give up.
MARGIN = 5.0  # seconds
_LOGIN = "login"  # where SQLAlchemy's record of a connection has it
# Between two connections that are made anew: proving a password takes this process 10 ms, in which no request is served.
_PAUSE = 0.1  # seconds
_RENEWING: ContextVar[bool] = ContextVar("renewing", default=False)  # whether this task takes connections out to renew them


@dataclass(frozen=True, slots=True)
class Usage:
    """Connections: how many there may be, how many there are, and how many of those are in use."""

    most: int
    made: int
    in_use: int


class Raw:
    """A connection from the pool, for the driver alone."""

    def __init__(self, held: PoolProxiedConnection) -> None:
        self._held = held
        self.driver: asyncpg.Connection = held.driver_connection
        self.login: Login | None = held.info.get(_LOGIN)

    async def invalidate(self) -> None:
        """Never hand it out again."""
        self._held.invalidate()

    async def close(self) -> None:
        """Give it back to the pool."""
        await greenlet_spawn(self._held.close)


class Connected:
    """A connection from the pool, for SQLAlchemy."""

    def __init__(self, connection: AsyncConnection, held: PoolProxiedConnection) -> None:
        self.connection = connection
        self.driver: asyncpg.Connection = held.driver_connection
        self.login: Login | None = held.info.get(_LOGIN)

    async def invalidate(self) -> None:
        """Never hand it out again."""
        await self.connection.invalidate()

    async def close(self) -> None:
        """Give it back to the pool."""
        await self.connection.close()


HeldT = TypeVar("HeldT", Raw, Connected)


class Pool:
    """`size` connections at most. `timeout` is for connecting and for a free one, `statement_timeout` for a statement, in
    seconds; `options` are the driver's. With `logins` the URL says where the server is, and they as whom to connect."""

    def __init__(
        self,
        url: Secret,
        *,
        size: int,
        timeout: float,
        statement_timeout: float,
        options: dict[str, Any],
        logins: Logins | None = None,
    ) -> None:
        self._engine = create_async_engine(
            make_url(url.reveal()).set(drivername="postgresql+asyncpg"),
            isolation_level="AUTOCOMMIT",
            pool_size=size,
            max_overflow=0,
            pool_timeout=timeout,
            pool_reset_on_return=None,  # who took it out rolls back
            connect_args={"timeout": timeout, "command_timeout": statement_timeout + MARGIN, **options},
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self._logins = logins
        self._statement_timeout = statement_timeout
        self._size = size
        self._made: dict[Any, Login] = {}  # by SQLAlchemy's record of the connection: whose each is
        self._in_use: dict[Any, Login | None] = {}
        self._leaving: Login | None = None  # while connections are made anew, those of the old login still serve
        self._returned = asyncio.Event()
        if logins is not None:
            event.listen(self._engine.sync_engine, "do_connect", self._as_whom)
            event.listen(self._engine.sync_engine, "checkout", self._refuse_old)
            event.listen(self._engine.sync_engine, "checkin", self._given_back)
            event.listen(self._engine.sync_engine, "close", self._closed)

    async def close(self) -> None:
        """Close every connection, and give the login back."""
        await self._engine.dispose()
        if self._logins is not None and self._logins.current is not None:
            await self._logins.end(self._logins.current)

    async def raw(self) -> Raw:
        """A connection for the driver alone. Raises what failures.py translates."""
        return Raw(await self._engine.raw_connection())

    async def connected(self) -> Connected:
        """A connection for SQLAlchemy. Raises what failures.py translates."""
        connection = await self._engine.connect()
        return Connected(connection, await connection.get_raw_connection())

    @property
    def login(self) -> Login | None:
        """The login of new connections; None where there is none yet, or where it never ends."""
        return self._logins.current if self._logins is not None else None

    @property
    def usage(self) -> Usage:
        """How it is now."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 - what SQLAlchemy makes of a size
        in_use = pool.checkedout()
        return Usage(self._size, in_use + pool.checkedin(), in_use)

    async def turn_over(self, issued: Callable[[], None]) -> None:
        """Go on with a new login; `issued` is called once there is one, before it is used. Raises VaultUnavailable, then
        everything stays as it was.

        Returns once the old one is given back: nothing that was under way with it has been cut off, unless it took longer
        than a statement may.
        """
        old = self.login
        if self._logins is None or old is None:
            return
        await self._logins.replace(old)
        issued()
        await self._renew(old)
        try:
            async with asyncio.timeout(self._statement_timeout + MARGIN):
                while old in self._in_use.values():
                    self._returned.clear()
                    await self._returned.wait()
        except TimeoutError:  # what is still under way has outlived every limit
            structlog.get_logger().warning("database.login_still_in_use")
        await self._logins.end(old)  # what idles in the pool is cut off, which its next user notices before using it

    async def _renew(self, old: Login) -> None:
        """Make every connection of `old` anew, one after the other, beside the requests. What cannot be is left to them."""
        self._leaving = old
        mine = _RENEWING.set(True)
        try:
            for _ in range(2 * self._size):
                if old not in self._made.values():
                    break
                await (await self.raw()).close()
                await asyncio.sleep(_PAUSE)
        except LOST as error:
            structlog.get_logger().warning("database.not_renewed", reason=type(error).__name__)
        finally:
            _RENEWING.reset(mine)
            self._leaving = None

    async def signed_in(self, other_than: Login | None = None) -> Login | None:
        """The login that new connections use, None where the URL says it. Raises DatabaseUnavailable."""
        if self._logins is None:
            return None
        try:
            return await (self._logins.replace(other_than) if other_than else self._logins.get())
        except VaultUnavailable as error:
            raise DatabaseUnavailable(
                f"there is no login for PostgreSQL: {error.message}", code="DATABASE_NO_LOGIN", hint=error.hint
            ) from error

    # What SQLAlchemy asks and tells.

    def _as_whom(self, _dialect: Any, record: Any, _args: Any, options: dict[str, Any]) -> None:
        login = self.login
        assert login is not None  # noqa: S101 - whoever takes one out has asked `signed_in`
        options["user"], options["password"] = login.user, login.password.reveal()
        if record is not None:
            record.info[_LOGIN] = self._made[record] = login

    def _refuse_old(self, _connection: Any, record: Any, _proxy: Any) -> None:
        login = record.info.get(_LOGIN)
        if login is not self.login and (login is not self._leaving or _RENEWING.get()):
            raise DisconnectionError  # the pool makes another in its place
        self._in_use[record] = login

    def _given_back(self, _connection: Any, record: Any) -> None:
        self._in_use.pop(record, None)
        self._returned.set()

    def _closed(self, _connection: Any, record: Any) -> None:
        self._made.pop(record, None)


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # asyncpg hears of a closed connection while it idles. One that is closed means that the server went away: all go.
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError
