"""Several tenants over one small pool, in every order that Hypothesis thinks of.

Up to `most_open` transactions are open at a time, each of a tenant; the steps in between read, change, fail, are cancelled,
or lose their connection. A model in Python knows which rows each should see. What is seen must be exactly that, and in the
end a superuser finds exactly what the model knows, tenant by tenant.

Of a tenant, one open transaction at a time changes rows: others would wait for its locks, and nobody here lets go of them.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import re
import uuid
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy.exc import DBAPIError

from service.adapters.database import Database, driver_of
from service.core.errors import DatabaseUnavailable, TenantNotBound
from service.core.settings import Secret
from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_checks import Leak, compare, judge, reset, unbound_raises
from tests.integration.service.isolation_foreign import FOREIGN, REASONS, REFUSED
from tests.integration.service.isolation_ways import MODELS, READS, On, needs_session

_FAILURES = (asyncpg.PostgresError, DBAPIError, TenantNotBound)


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


def play(setup: Setup, *, examples: int, steps: int) -> None:
    """The whole run; the same every time. Without shrinking: a step costs milliseconds, not microseconds."""
    run_state_machine_as_test(
        partial(Isolation, setup),
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


class Isolation(RuleBasedStateMachine):
    """One example: a world of its own, a pool of its own, one event loop."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup
        self.open: list[Open] = []
        self.numbers = itertools.count()
        self.runner = asyncio.Runner()
        self.run(self._start())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def _start(self) -> None:
        self.control = await asyncpg.connect(self.setup.control)
        self.world = await reset(self.control)
        self.tenants = list(self.world)
        self.database = Database(Secret(self.setup.url), pool_size=self.setup.pool_size, pooler=self.setup.pooler)

    def teardown(self) -> None:
        async def work() -> None:
            try:
                for on in list(self.open):
                    await self._end(on, _Enough())
                await compare(self.control, self.world)
            finally:
                await self.database.close()
                await self.control.close()

        try:
            self.run(work())
        finally:
            self.runner.close()

    def _room(self) -> bool:
        return len(self.open) < self.setup.most_open

    def _writes(self, tenant: uuid.UUID) -> bool:
        """Whether a transaction of the tenant may change rows: no other one does."""
        return not any(one.writes and one.tenant == tenant for one in self.open)

    def _picked(self, pick: int) -> Open:
        on = self.open[pick % len(self.open)]
        if not on.writes:
            on.rows = self.world[on.tenant]
        return on

    async def _end(self, on: Open, error: BaseException | None = None) -> None:
        """End the block as Python would. With an error, it must come out of it; what else comes out is raised."""
        self.open.remove(on)
        if error is None:
            await on.block.__aexit__(None, None, None)
        else:
            assert not await on.block.__aexit__(type(error), error, error.__traceback__)

    # --- transactions ---

    @precondition(_room)
    @rule(tenant=st.integers(0, 2), how=st.sampled_from(["orm", "orm", "direct", "pages"]))
    def begin(self, tenant: int, how: str) -> None:
        async def work() -> None:
            bound = self.tenants[tenant]
            orm = how == "orm"
            block = self.database.transaction(bound) if orm else self.database.direct(bound, pages=how == "pages")
            held = await block.__aenter__()
            driver = await driver_of(held) if orm else held
            writes = self._writes(bound)
            self.open.append(
                Open(
                    bound,
                    driver,
                    held if orm else None,
                    self.world[bound].copy() if writes else self.world[bound],
                    self.numbers,
                    block=block,
                    pid=await driver.fetchval("SELECT pg_backend_pid()"),
                    writes=writes,
                )
            )

        self.run(work())

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9))
    def commit(self, pick: int) -> None:
        async def work() -> None:
            on = self._picked(pick)
            await self._end(on)
            if on.writes:
                self.world[on.tenant] = on.rows
            await compare(self.control, self.world)

        self.run(work())

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9))
    def give_up(self, pick: int) -> None:
        self.run(self._end(self._picked(pick), _Enough()))

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), caught=st.booleans())
    def fail(self, pick: int, caught: bool) -> None:
        """A statement fails. Who catches that and goes on is told at the latest when it is to be committed."""

        async def work() -> None:
            on = self._picked(pick)
            with pytest.raises(asyncpg.DivisionByZeroError) as failed:
                await on.driver.execute("SELECT 1 / 0")
            if not caught:
                await self._end(on, failed.value)
                return
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                await self._end(on)

        self.run(work())

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), after=st.sampled_from([0.0, 0.001, 0.005]))
    def cancel(self, pick: int, after: float) -> None:
        """The caller goes away in the middle of a statement."""

        async def work() -> None:
            on = self._picked(pick)
            task = asyncio.create_task(on.driver.execute("SELECT pg_sleep(5)"))
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await task
            await self._end(on, cancelled.value)

        self.run(work())

    @precondition(_room)
    @rule(tenant=st.integers(0, 2), after=st.sampled_from([0.0, 0.0005, 0.001, 0.002, 0.004]))
    def cancel_whole(self, tenant: int, after: float) -> None:
        """The caller goes away at any moment: while it waits for a connection, for BEGIN, for its own statement."""
        bound = self.tenants[tenant]
        if not self._writes(bound):
            return

        async def block() -> None:
            async with self.database.direct(bound) as driver:
                await driver.execute("UPDATE document SET title = 'cancelled'")
                await driver.execute("SELECT pg_sleep(5)")

        async def work() -> None:
            task = asyncio.create_task(block())
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self.run(work())

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), commits=st.booleans())
    def kill(self, pick: int, commits: bool) -> None:
        """The server ends the connection of an open transaction."""

        async def work() -> None:
            on = self._picked(pick)
            assert await self.control.fetchval("SELECT pg_terminate_backend($1, 5000)", on.pid)
            error = None
            if not commits:
                with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as lost:
                    await on.driver.fetchval("SELECT 1")
                error = lost.value
            with pytest.raises(DatabaseUnavailable):
                await self._end(on, error)

        self.run(work())

    @rule()
    def kill_idle(self) -> None:
        """The server ends every connection that waits in a pool."""
        self.run(
            self.control.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = 'jeex_app' AND state = 'idle'"
            )
        )

    @precondition(_room)
    @rule()
    def unbound(self) -> None:
        self.run(unbound_raises(self.database))

    # --- what they ask ---

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), table=st.sampled_from(sorted(MODELS)))
    def look(self, pick: int, table: str) -> None:
        async def work() -> None:
            on = self._picked(pick)
            for name in filter(on.can, READS):
                judge(self.world, on, table, await READS[name](on, table))
                self.setup.tally[name] += 1
            if on.session:
                on.session.expunge_all()

        self.run(work())

    @precondition(lambda self: any(one.writes for one in self.open))
    @rule(pick=st.integers(0, 9), table=st.sampled_from(sorted(MODELS)), way=st.integers(0, 99))
    def change(self, pick: int, table: str, way: int) -> None:
        async def work() -> None:
            writers = [one for one in self.open if one.writes]
            on = writers[pick % len(writers)]
            ways = list(filter(on.can, CHANGES))
            name = ways[way % len(ways)]
            await CHANGES[name](on, table)
            self.setup.tally[name] += 1
            if on.session:
                on.session.expunge_all()

        self.run(work())

    def _theirs(self, on: Open, which: int, table: str) -> tuple[uuid.UUID, uuid.UUID] | None:
        """Another tenant, and one of its rows."""
        other = [one for one in self.tenants if one != on.tenant][which % 2]
        rows = list(self.world[other].tables[table])
        return (other, rows[which % len(rows)]) if rows else None

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), which=st.integers(0, 9), table=st.sampled_from(sorted(MODELS)))
    def reach(self, pick: int, which: int, table: str) -> None:
        """A row of another tenant is as one that does not exist."""

        async def work() -> None:
            on = self._picked(pick)
            theirs = self._theirs(on, which, table)
            for name in filter(on.can, FOREIGN if theirs else ()):
                told = await FOREIGN[name](on, table, *theirs)
                if told != await FOREIGN[name](on, table, uuid.uuid4(), uuid.uuid4()):
                    raise Leak(f"{name}: the id of another tenant's {table} is told from one that nobody has: {told}")
                self.setup.tally[name] += 1

        self.run(work())

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 9), which=st.integers(0, 9), table=st.sampled_from(sorted(MODELS)), way=st.integers(0, 99))
    def refused(self, pick: int, which: int, table: str, way: int) -> None:
        """What would write a row of another tenant fails, for the right reason."""

        async def work() -> None:
            on = self._picked(pick)
            theirs = self._theirs(on, which, table)
            ways = list(filter(on.can, REFUSED))
            name = ways[way % len(ways)]
            if theirs is None:
                return
            try:
                await REFUSED[name](on, table, *theirs)
            except _FAILURES as error:
                assert re.search(REASONS[name.rpartition("_")[2]], str(error)), error
                await self._end(on, error)
            else:
                raise Leak(f"{name}: a row of {table} of another tenant was written")
            self.setup.tally[name] += 1

        self.run(work())


class _Enough(Exception):
    """What a caller raises who does not want what it did."""
