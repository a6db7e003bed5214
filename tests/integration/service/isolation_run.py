"""Several open transactions of several tenants, and what can happen to each of them; isolation.py says in which order."""

from __future__ import annotations

import asyncio
import collections
import itertools
import re
import uuid
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from service.adapters.database import Database, driver_of
from service.core.errors import DatabaseUnavailable, TenantNotBound
from service.core.settings import Secret
from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_checks import Leak, compare, judge, reset, unbound_raises
from tests.integration.service.isolation_foreign import FOREIGN, REASONS, REFUSED
from tests.integration.service.isolation_ways import MODELS, READS, On, needs_session

_FAILURES = (asyncpg.PostgresError, DBAPIError, TenantNotBound)
_LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


@dataclass
class Setup:
    """What a run goes through: `url` is the app's, `control` a superuser's own way to the same database."""

    url: str
    control: str
    pool_size: int = 3
    most_open: int = 3
    pooler: str = "none"
    tally: collections.Counter[str] = field(default_factory=collections.Counter)


@dataclass(kw_only=True)
class Open(On):
    """A transaction that stays open between the steps."""

    block: AbstractAsyncContextManager[Any]
    pid: int
    writes: bool

    def can(self, name: str) -> bool:
        return self.session is not None or not needs_session(name)


class Enough(Exception):
    """What a caller raises who does not want what it did."""


class Run:
    """One world, one pool, and the transactions that are open.

    Of a tenant, one of them at a time changes rows: others would wait for its locks, and nobody here lets go of them.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.tally = setup.tally
        self.open: list[Open] = []
        self._numbers = itertools.count()

    async def start(self) -> None:
        self.control = await asyncpg.connect(self.setup.control)
        self.world = await reset(self.control)
        self.tenants = list(self.world)
        self.database = Database(Secret(self.setup.url), pool_size=self.setup.pool_size, pooler=self.setup.pooler)

    async def finish(self) -> None:
        """Nothing more; and what is left is what the model knows."""
        try:
            await self.end_all()
            await compare(self.control, self.world)
        finally:
            await self.close()

    async def end_all(self) -> None:
        for on in list(self.open):
            await self.end(on, Enough())

    async def close(self) -> None:
        await self.database.close()
        await self.control.close()

    def may_write(self, tenant: uuid.UUID) -> bool:
        return not any(one.writes and one.tenant == tenant for one in self.open)

    def picked(self, pick: int, *, writes: bool = False) -> Open | None:
        """One of the open transactions; who only reads sees what has been committed by now."""
        among = [one for one in self.open if one.writes or not writes]
        if not among:
            return None
        on = among[pick % len(among)]
        if not on.writes:
            on.rows = self.world[on.tenant]
        return on

    async def begin(self, tenant: uuid.UUID, how: str) -> None:
        orm = how == "orm"
        block = self.database.transaction(tenant) if orm else self.database.direct(tenant, pages=how == "pages")
        held = await block.__aenter__()
        driver = await driver_of(held) if orm else held
        writes = self.may_write(tenant)
        rows = self.world[tenant].copy() if writes else self.world[tenant]
        pid = await driver.fetchval("SELECT pg_backend_pid()")
        session = held if orm else None
        self.open.append(Open(tenant, driver, session, rows, self._numbers, block=block, pid=pid, writes=writes))

    async def end(self, on: Open, error: BaseException | None = None) -> None:
        """End the block as Python would. With an error, it must come out of it; what else comes out is raised."""
        self.open.remove(on)
        if error is None:
            await on.block.__aexit__(None, None, None)
        else:
            assert not await on.block.__aexit__(type(error), error, error.__traceback__)

    # --- how a transaction ends ---

    async def commit(self, on: Open) -> None:
        await self.end(on)
        if on.writes:
            self.world[on.tenant] = on.rows
        await compare(self.control, self.world)

    async def give_up(self, on: Open) -> None:
        await self.end(on, Enough())

    async def fail(self, on: Open) -> None:
        """A statement fails, and the caller with it."""
        with pytest.raises(asyncpg.DivisionByZeroError) as failed:
            await on.driver.execute("SELECT 1 / 0")
        await self.end(on, failed.value)

    async def swallow(self, on: Open) -> None:
        """A statement fails. Who catches that and goes on is told at the latest when it is to be committed."""
        with pytest.raises(asyncpg.DivisionByZeroError):
            await on.driver.execute("SELECT 1 / 0")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await self.end(on)

    async def cancel(self, on: Open) -> None:
        """The caller goes away in the middle of a statement."""
        task = asyncio.create_task(on.driver.execute("SELECT pg_sleep(5)"))
        await asyncio.sleep(next(self._numbers) % 5 / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        await self.end(on, cancelled.value)

    async def kill(self, on: Open) -> None:
        """The server ends the connection; the next statement notices."""
        await self._terminate(on)
        with pytest.raises(_LOST) as lost:
            await on.driver.fetchval("SELECT 1")
        with pytest.raises(DatabaseUnavailable):
            await self.end(on, lost.value)

    async def kill_before_commit(self, on: Open) -> None:
        await self._terminate(on)
        with pytest.raises(DatabaseUnavailable):
            await self.end(on)

    async def _terminate(self, on: Open) -> None:
        assert await self.control.fetchval("SELECT pg_terminate_backend($1, 5000)", on.pid)

    # --- what happens besides ---

    async def cancel_whole(self, tenant: uuid.UUID, after: float) -> None:
        """The caller goes away at any moment: while it waits for a connection, for BEGIN, for its own statement."""
        if not self.may_write(tenant):
            return

        async def block() -> None:
            async with self.database.direct(tenant) as driver:
                await driver.execute("UPDATE document SET title = 'cancelled'")
                await driver.execute("SELECT pg_sleep(5)")

        task = asyncio.create_task(block())
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def kill_idle(self) -> None:
        """The server ends every connection that waits in a pool."""
        await self.control.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = 'jeex_app' AND state = 'idle'"
        )

    # --- what a transaction asks ---

    async def look(self, on: Open, table: str) -> None:
        for name in filter(on.can, READS):
            judge(self.world, on, table, await READS[name](on, table))
            self._done(on, name)

    async def change(self, on: Open, name: str, table: str) -> None:
        if on.can(name):
            await CHANGES[name](on, table)
            self._done(on, name)

    async def reach(self, on: Open, table: str, which: int) -> None:
        """A row of another tenant is as one that does not exist."""
        theirs = self._theirs(on, which, table)
        for name in filter(on.can, FOREIGN if theirs else ()):
            told = await FOREIGN[name](on, table, *theirs)
            if told != await FOREIGN[name](on, table, uuid.uuid4(), uuid.uuid4()):
                raise Leak(f"{name}: the id of another tenant's {table} is told from one that nobody has: {told}")
            self._done(on, name)

    async def refuse(self, on: Open, table: str, which: int) -> None:
        """What would write a row of another tenant fails, for the right reason."""
        theirs = self._theirs(on, which, table)
        for name in filter(on.can, REFUSED if theirs else ()):
            await on.driver.execute("SAVEPOINT before")
            try:
                await REFUSED[name](on, table, *theirs)
            except _FAILURES as error:
                assert re.search(REASONS[name.rpartition("_")[2]], str(error)), error
            else:
                raise Leak(f"{name}: a row of {table} of another tenant was written")
            await on.driver.execute("ROLLBACK TO before")
            self._done(on, name)

    def _theirs(self, on: Open, which: int, table: str) -> tuple[uuid.UUID, uuid.UUID] | None:
        """Another tenant, and one of its rows."""
        other = [one for one in self.tenants if one != on.tenant][which % 2]
        rows = list(self.world[other].tables[table])
        return (other, rows[which % len(rows)]) if rows else None

    def _done(self, on: Open, name: str) -> None:
        """Objects go: what another way changes below them would not show."""
        self.tally[name] += 1
        if on.session:
            on.session.expunge_all()


async def walk(setup: Setup) -> None:
    """Each step once for each table, in one order: enough to notice a lock that is missing."""
    one = Run(setup)
    await one.start()
    try:
        for tenant, how in zip(one.tenants, ("orm", "direct", "orm"), strict=True):
            await one.begin(tenant, how)
        for number, table in enumerate(MODELS):
            for on in one.open:
                await one.look(on, table)
                await one.reach(on, table, number)
                await one.refuse(on, table, number)
                await one.change(on, "driver_update", table)
        while one.open:
            await one.commit(one.open[0])
        for table in MODELS:
            await unbound_raises(one.database, table)
    finally:
        await one.end_all()
        await one.close()
