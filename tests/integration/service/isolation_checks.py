"""What the tests of isolation compare: a world of several tenants, the same in PostgreSQL and in Python."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

import asyncpg
from sqlalchemy.exc import DBAPIError

from service.adapters.database import Database, driver_of
from service.core.errors import TenantNotBound
from tests.integration.service.isolation_foreign import FOREIGN
from tests.integration.service.isolation_ways import LABELS, MODELS, READS, On, Row, Rows, Seen, needs_session

World = dict[uuid.UUID, Rows]

_UNBOUND = re.compile(r'unrecognized configuration parameter "app\.tenant_id"|invalid input syntax for type uuid: ""')


class Leak(AssertionError):
    """Something of one tenant was seen, changed or told of in a transaction of another, or of none."""


async def reset(control: asyncpg.Connection) -> World:
    """Nothing but the tenants that the runs begin with, and the model of them. Their rows have the same names."""
    await control.execute("TRUNCATE tenant CASCADE")
    world: World = {}
    for name in ("one", "two", "three"):
        tenant, rows = uuid.uuid4(), Rows()
        await control.execute("INSERT INTO tenant (id, slug, name) VALUES ($1, $2, $2)", tenant, name)
        for number in range(3):
            user, project, word = uuid.uuid4(), uuid.uuid4(), f"old-{number}"
            await control.execute(
                "INSERT INTO app_user (tenant_id, id, email, display_name) VALUES ($1, $2, $3 || '@x.example', $3)",
                *(tenant, user, word),
            )
            await control.execute(
                "INSERT INTO project (tenant_id, id, slug, name, created_by) VALUES ($1, $2, $3, $3, $4)",
                *(tenant, project, word, user),
            )
            rows.tables["app_user"][user], rows.tables["project"][project] = Row(word), Row(word)
            for document in (uuid.uuid4(), uuid.uuid4()):
                await control.execute(
                    "INSERT INTO document (tenant_id, id, project_id, path, title) VALUES ($1, $2, $3, $4, $5)",
                    *(tenant, document, project, str(document), word),
                )
                rows.tables["document"][document] = Row(word, project=project)
        world[tenant] = rows
    return world


async def compare(control: asyncpg.Connection, world: World) -> None:
    """What is in the database is what the model knows, row by row. Raises Leak."""
    for table in MODELS:
        found = await control.fetch(f"SELECT tenant_id, id, {LABELS[table]}, deleted_at IS NOT NULL FROM {table}")  # noqa: S608
        known = {
            (tenant, row_id, row.label, row.deleted)
            for tenant, rows in world.items()
            for row_id, row in rows.tables[table].items()
        }
        if {tuple(row) for row in found} != known:
            raise Leak(f"{table} is not as its tenants left it: {sorted(map(str, {tuple(row) for row in found} ^ known))}")


def judge(world: World, on: On, table: str, seen: Iterable[Seen]) -> None:
    """What was seen is what the transaction should see: nothing else, and all of it. Raises Leak."""
    seen = list(seen)
    for tenant, row_id, label, where in seen:
        owner = next((one for one, rows in world.items() if row_id in rows.tables[where]), on.tenant)
        if on.tenant not in (tenant, owner) or tenant != owner:
            raise Leak(f"{label} of {where} is of {owner}, said to be of {tenant}, and was seen by {on.tenant}")
    known = {row_id: row.label for row_id, row in on.rows.tables[table].items()}
    found = {row_id: label for _, row_id, label, where in seen if where == table}
    assert found == known, f"{table}: of {len(known)} rows of the tenant's own, {len(found)} were seen, or seen as others"


async def unbound_raises(database: Database, table: str) -> None:
    """Whatever is asked where no tenant is bound fails, and says why. Raises Leak."""
    rows = Rows()
    rows.tables[table][uuid.uuid4()] = Row("unknown")
    for name, read in READS.items():
        orm = needs_session(name)
        try:
            async with database.transaction() if orm else database.direct() as held:
                on = On(uuid.uuid4(), await driver_of(held) if orm else held, held if orm else None, rows)
                seen = await read(on, table)
        except TenantNotBound:
            assert name.startswith("orm")
        except (asyncpg.PostgresError, DBAPIError) as error:
            assert _UNBOUND.search(str(error)), error
        else:
            raise Leak(f"{name}: a transaction of no tenant may ask for {table}, and sees {len(seen)} rows")


async def binding_ends(database: Database, tenant: uuid.UUID) -> None:
    """A tenant is bound for one transaction, whichever way it was committed. `database` has one connection. Raises Leak."""
    for orm in (False, True):
        async with database.transaction(tenant) if orm else database.direct(tenant) as held:
            driver = await driver_of(held) if orm else held
            assert await driver.fetchval("SELECT current_setting('app.tenant_id')") == str(tenant)
        await unbound_raises(database, "document")


async def repository_stays(world: World, on: On) -> None:
    """A Repository lists its tenant's rows alone, and knows no other; every row is another's or its own. Raises Leak."""
    for table in MODELS:
        judge(world, on, table, await READS["driver_page"](on, table))
        for other in world.keys() - {on.tenant}:
            for row_id in world[other].tables[table]:
                ask = FOREIGN["driver_repository"]
                if (told := await ask(on, table, other, row_id)) != await ask(on, table, uuid.uuid4(), uuid.uuid4()):
                    raise Leak(f"a Repository of another tenant knows of {row_id} of {table}: {told}")
