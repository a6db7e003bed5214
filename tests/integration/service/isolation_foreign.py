# ruff: noqa: S608 - every text in these statements is the tests' own
"""The ways in which a transaction of one tenant could try to reach the rows of another.

A way of FOREIGN is given a tenant and an id, and answers with what it was told: for a row of another tenant, the same as for
one that does not exist. One of REFUSED must fail, for the reason that the last word of its name stands for.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from service.adapters.repository import ANY
from service.core.errors import NotFound
from tests.integration.service.isolation_ways import LABELS, MODELS, On

Foreign = Callable[[On, str, uuid.UUID, uuid.UUID], Awaitable[Any]]

FOREIGN: dict[str, Foreign] = {}
REFUSED: dict[str, Foreign] = {}
# What a refusal says.
REASONS = {
    "bound": "of another tenant (was|were) about to be written",  # the ORM's lock, before anything is sent
    "policy": "row-level security",
    "key": "violates foreign key constraint",
}


def foreign(way: Foreign) -> Foreign:
    FOREIGN[way.__name__] = way
    return way


def refused(way: Foreign) -> Foreign:
    REFUSED[way.__name__] = way
    return way


@foreign
async def orm_get(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model = MODELS[table]
    return [await on.orm.get(model, (tenant, row_id)), await on.orm.get(model, (on.tenant, row_id))]


@foreign
async def orm_select(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model, other = MODELS[table], aliased(MODELS[table])
    one = (await on.orm.scalars(select(model).where(model.id == row_id))).all()
    two = (await on.orm.scalars(select(other.id).where(other.tenant_id == tenant))).all() if tenant != on.tenant else []
    return [*one, *two]


@foreign
async def orm_update(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model = MODELS[table]
    changed = await on.orm.execute(update(model).where(model.id == row_id).values({LABELS[table]: "stolen"}))
    return changed.rowcount


@foreign
async def orm_delete(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model = MODELS[table]
    return (await on.orm.execute(delete(model).where(model.id == row_id))).rowcount


@foreign
async def core_select(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    columns = MODELS[table].__table__.c
    return (await on.orm.execute(select(columns.id).where(columns.tenant_id == tenant, columns.id == row_id))).all()


@foreign
async def core_update(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model = MODELS[table].__table__
    changed = await on.orm.execute(update(model).where(model.c.id == row_id).values({LABELS[table]: "stolen"}))
    return changed.rowcount


@foreign
async def core_delete(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    model = MODELS[table].__table__
    return (await on.orm.execute(delete(model).where(model.c.tenant_id == tenant, model.c.id == row_id))).rowcount


@foreign
async def text_change(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    by = {"tenant": tenant, "id": row_id}
    where = f"{table} WHERE tenant_id = :tenant AND id = :id"
    found = (await on.orm.execute(text(f"SELECT id FROM {where}"), by)).all()
    locked = (await on.orm.execute(text(f"SELECT id FROM {where} FOR UPDATE"), by)).all()
    return [found, locked, (await on.orm.execute(text(f"DELETE FROM {where}"), by)).rowcount]


@foreign
async def driver_change(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    where = "WHERE tenant_id = $1 AND id = $2"
    return [
        await on.driver.fetch(f"SELECT id FROM {table} {where}", tenant, row_id),
        await on.driver.execute(f"UPDATE {table} SET {LABELS[table]} = 'stolen' {where}", tenant, row_id),
        await on.driver.execute(f"DELETE FROM {table} {where}", tenant, row_id),
    ]


@foreign
async def driver_repository(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    """Every question about one row; each has the same answer."""
    repository = on.repository(table)
    told = []
    for asked in (
        repository.get(row_id),
        repository.update(row_id, ANY, {LABELS[table]: "stolen"}),
        repository.update(row_id, frozenset({1}), {LABELS[table]: "stolen"}),
        repository.delete(row_id),
        repository.restore(row_id),
        repository.purge(row_id),
    ):
        try:
            told.append(await asked)
        except NotFound as error:
            told.append((error.code, error.message))
    return told


# --- what must fail ---


def _values(on: On, table: str, tenant: uuid.UUID) -> dict[str, Any]:
    """A row of `tenant` that does not exist; a document of this transaction's project, or of none."""
    return (
        {"project_id": uuid.uuid4(), "path": "stolen"} | (on.new(table) or {LABELS[table]: "stolen"}) | {"tenant_id": tenant}
    )


def _of(table: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if hasattr(MODELS[table], name)}


@refused
async def orm_add_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    on.orm.add(MODELS[table](**_of(table, _values(on, table, tenant))))
    await on.orm.flush()


@refused
async def orm_merge_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.merge(MODELS[table](**{"tenant_id": tenant, "id": row_id, LABELS[table]: "stolen"}))
    await on.orm.flush()


@refused
async def orm_insert_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.execute(insert(MODELS[table]), [_of(table, _values(on, table, tenant))])


@refused
async def orm_insert_values_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.execute(insert(MODELS[table]).values([_of(table, _values(on, table, tenant))]))


@refused
async def orm_update_by_key_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.execute(update(MODELS[table]), [{"tenant_id": tenant, "id": row_id, LABELS[table]: "stolen"}])


@refused
async def orm_move_bound(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.execute(update(MODELS[table]).values(tenant_id=tenant))


@refused
async def core_insert_policy(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    await on.orm.execute(insert(MODELS[table].__table__).values(_of(table, _values(on, table, tenant))))


@refused
async def core_upsert_policy(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    """It would change the row that is there."""
    values = _of(table, _values(on, table, tenant)) | {"id": row_id}
    made = upsert(MODELS[table].__table__).values(values)
    keys = ["tenant_id", "id"]
    await on.orm.execute(made.on_conflict_do_update(index_elements=keys, set_={LABELS[table]: "stolen"}))


@refused
async def driver_insert_policy(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    values = _of(table, _values(on, table, tenant))
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await on.driver.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())


@refused
async def driver_reference_key(on: On, table: str, tenant: uuid.UUID, row_id: uuid.UUID) -> Any:
    """A document in a project of another tenant: what the constraint says holds for one that does not exist as well."""
    await on.driver.execute(
        "INSERT INTO document (tenant_id, project_id, path, title) VALUES ($1, $2, 'stolen', 'stolen')", on.tenant, row_id
    )
