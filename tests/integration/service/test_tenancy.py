"""The second lock alone: what SQLAlchemy's sessions add and refuse, where row security does not hold.

A superuser is not bound by row security, so whatever stays within the tenant here does so because of the session.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import delete, event, exists, func, insert, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from service.adapters.database import Database, driver_of
from service.core.errors import TenantNotBound
from service.core.settings import Secret
from service.models import Document, Project, Tenant, User
from tests.integration.service.conftest import run
from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_checks import World, compare, judge, reset
from tests.integration.service.isolation_foreign import FOREIGN, REASONS, REFUSED
from tests.integration.service.isolation_ways import MODELS, READS, On
from tests.integration.service.servers import Postgres

# What goes past the ORM by design (see service/adapters/tenancy.py), and has row security alone.
PAST = {"orm_from_text"}
TABLES = sorted(MODELS)


class Here:
    """A world in a database, and a transaction of its first tenant as a superuser."""

    def __init__(self, database: Database, world: World, control: asyncpg.Connection) -> None:
        self.database, self.world, self.control = database, world, control
        self.tenant, self.other = list(world)[:2]

    @asynccontextmanager
    async def bound(self) -> AsyncIterator[On]:
        async with self.database.transaction(self.tenant) as session:
            yield On(self.tenant, await driver_of(session), session, self.world[self.tenant])


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Here]:
    control = await asyncpg.connect(url)
    try:
        async with Database(Secret(url), pool_size=1) as database:
            yield Here(database, await reset(control), control)
    finally:
        await control.close()


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    """One database for all of them: each begins with a world of its own."""
    name = postgres.copy("tenancy", "migrated")
    yield postgres.url("postgres", name)
    postgres.drop(name)


def test_a_superuser_sees_every_tenant_without_the_session(url: str) -> None:
    """Without this, nothing below would show anything."""

    async def work() -> None:
        async with opened(url) as here, here.bound() as on:
            assert len(await on.driver.fetch("SELECT FROM document")) == 18

    run(work())


@pytest.mark.parametrize("name", sorted(name for name in READS if name.startswith("orm") and name not in PAST))
def test_what_is_read_is_the_tenants(url: str, name: str) -> None:
    async def work() -> None:
        async with opened(url) as here, here.bound() as on:
            for table in TABLES:
                judge(here.world, on, table, await READS[name](on, table))

    run(work())


@pytest.mark.parametrize(
    "statement",
    [
        select(func.count()).select_from(Document),
        select(func.count(Document.id)),
    ],
    ids=["count", "count of a column"],
)
def test_what_is_counted_is_the_tenants(url: str, statement: Any) -> None:
    async def work() -> None:
        async with opened(url) as here, here.bound() as on:
            assert await on.orm.scalar(statement) == 6

    run(work())


def test_what_is_written_out_of_other_rows_is_the_tenants(url: str) -> None:
    """The value of an UPDATE, and its condition, are queries too."""

    async def work() -> None:
        async with opened(url) as here:
            await here.control.execute("UPDATE document SET title = 'theirs' WHERE tenant_id = $1", here.other)
            async with here.bound() as on:
                largest = select(func.max(Document.title)).scalar_subquery()
                await on.orm.execute(update(Project).values(name=largest))
                assert set(await on.orm.scalars(select(Project.name))) == {"old-2"}
                theirs = exists(select(Document.id).where(Document.title == "theirs"))
                assert (await on.orm.execute(update(Project).where(theirs).values(name="x"))).rowcount == 0
                assert (await on.orm.execute(delete(Project).where(theirs))).rowcount == 0

    run(work())


def test_what_only_stands_in_a_condition_is_the_tenants(url: str) -> None:
    """Another tenant's rows must not decide which of one's own are found, nor which tenants are."""

    async def work() -> None:
        async with opened(url) as here, here.bound() as on:
            theirs = next(iter(here.world[here.other].tables["document"]))
            for condition in (
                exists(select(Document.id).where(Document.id == theirs)),
                exists().where(Document.id == theirs),
                select(func.count()).select_from(Document).where(Document.id == theirs).scalar_subquery() > 0,
            ):
                assert (await on.orm.scalars(select(Project.id).where(condition))).all() == []
                assert (await on.orm.scalars(select(Tenant.id).where(condition))).all() == []
            joined = select(Tenant.id).join(Document, Document.tenant_id == Tenant.id).distinct()
            assert (await on.orm.scalars(joined)).all() == [here.tenant]

    run(work())


@pytest.mark.parametrize("name", sorted(name for name in CHANGES if name.startswith("orm")))
def test_what_is_changed_is_the_tenants(url: str, name: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            for table in TABLES:
                async with here.bound() as on:
                    await CHANGES[name](on, table)
                await compare(here.control, here.world)

    run(work())


@pytest.mark.parametrize("name", sorted(name for name in FOREIGN if name.startswith("orm")))
def test_a_row_of_another_tenant_is_as_one_that_does_not_exist(url: str, name: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            for table in TABLES:
                theirs = next(iter(here.world[here.other].tables[table]))
                async with here.bound() as on:
                    told = await FOREIGN[name](on, table, here.other, theirs)
                    assert told == await FOREIGN[name](on, table, uuid.uuid4(), uuid.uuid4())
            await compare(here.control, here.world)

    run(work())


@pytest.mark.parametrize("name", sorted(name for name in REFUSED if name.endswith("_bound")))
def test_what_would_write_for_another_tenant_is_refused(url: str, name: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            for table in TABLES:
                theirs = next(iter(here.world[here.other].tables[table]))
                with pytest.raises(TenantNotBound, match=REASONS["bound"]):
                    async with here.bound() as on:
                        await REFUSED[name](on, table, here.other, theirs)
            await compare(here.control, here.world)

    run(work())


def test_an_object_stays_with_its_tenant(url: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            with pytest.raises(TenantNotBound, match="a Project of another tenant"):
                async with here.bound() as on:
                    found = (await on.orm.scalars(select(Project))).first()
                    assert found is not None
                    found.tenant_id = here.other
            await compare(here.control, here.world)

    run(work())


def test_an_object_from_elsewhere_is_neither_changed_nor_deleted(url: str) -> None:
    """As one does who keeps an object from one transaction to the next."""

    async def work() -> None:
        async with opened(url) as here:
            async with here.database.transaction(here.other) as session:
                theirs = (await session.scalars(select(Project))).first()
            assert theirs is not None
            with pytest.raises(TenantNotBound, match="a Project of another tenant"):
                async with here.bound() as on:
                    on.orm.add(theirs)
                    await on.orm.delete(theirs)
                    await on.orm.flush()
            theirs.name = "stolen"
            with pytest.raises(TenantNotBound, match="a Project of another tenant"):
                async with here.bound() as on:
                    on.orm.add(theirs)
            await compare(here.control, here.world)

    run(work())


def test_a_missing_tenant_is_filled_in(url: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            one = User(id=uuid.uuid4(), email="new@x.example", display_name="new")
            async with here.bound() as on:
                on.orm.add(one)
            assert one.tenant_id == here.tenant
            assert await here.control.fetchval("SELECT tenant_id FROM app_user WHERE id = $1", one.id) == here.tenant

    run(work())


@contextmanager
def sent(session: AsyncSession) -> Iterator[list[str]]:
    """What goes to the database meanwhile."""
    found: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", keep)
    yield found
    event.remove(engine, "before_cursor_execute", keep)


async def _add(session: AsyncSession) -> None:
    session.add(Project(slug="new", name="new"))
    await session.flush()


UNBOUND = {
    "select": lambda session: session.execute(select(Project)),
    "columns": lambda session: session.execute(select(Project.id)),
    "alias": lambda session: session.execute(select(aliased(Project).id)),
    "join": lambda session: session.execute(select(Tenant.id).join(Project, Project.tenant_id == Tenant.id)),
    "count": lambda session: session.scalar(select(func.count()).select_from(Project)),
    "condition": lambda session: session.execute(select(Tenant).where(exists(select(Project.id)))),
    "get": lambda session: session.get(Project, (uuid.uuid4(), uuid.uuid4())),
    "update": lambda session: session.execute(update(Project).values(name="x")),
    "value": lambda session: session.execute(update(Tenant).values(name=select(func.max(Project.name)).scalar_subquery())),
    "union": lambda session: session.execute(union(select(Project.id), select(Tenant.id))),
    "update by key": lambda session: session.execute(
        update(Project), [{"tenant_id": uuid.uuid4(), "id": uuid.uuid4(), "name": "x"}]
    ),
    "delete": lambda session: session.execute(delete(Project)),
    "insert": lambda session: session.execute(insert(Project), [{"tenant_id": uuid.uuid4(), "slug": "x", "name": "x"}]),
    "insert of no tenant": lambda session: session.execute(insert(Project), [{"slug": "x", "name": "x"}]),
    "add": _add,
}


@pytest.mark.parametrize("name", UNBOUND)
def test_without_a_tenant_nothing_is_sent(url: str, name: str) -> None:
    async def work() -> None:
        async with opened(url) as here:
            with pytest.raises(TenantNotBound, match="outside of a transaction of that tenant"):
                async with here.database.transaction() as session:
                    with sent(session) as statements:
                        try:
                            await UNBOUND[name](session)
                        finally:
                            assert statements == []
            await compare(here.control, here.world)

    run(work())


def test_tenants_themselves_need_no_tenant(url: str) -> None:
    async def work() -> None:
        async with opened(url) as here, here.database.transaction() as session:
            assert len((await session.scalars(select(Tenant))).all()) == 3

    run(work())


def test_each_of_many_sessions_has_its_own_tenant(url: str) -> None:
    """What is compiled once is shared: the tenant must not be part of it."""

    async def count(here: Here, tenant: uuid.UUID) -> None:
        async with here.database.transaction(tenant) as session:
            found = (await session.scalars(select(Document.tenant_id).where(Document.title != ""))).all()
            assert found == [tenant] * 6

    async def work() -> None:
        async with opened(url) as here:
            await asyncio.gather(*(count(here, tenant) for tenant in [*here.world] * 7))

    run(work())
