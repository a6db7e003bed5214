# ruff: noqa: S608 - every text in these statements is the tests' own
"""Every way in which the platform changes rows of a tenant: each changes them, and the model of them alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import delete, insert, text, update

from service.adapters.repository import ANY
from tests.integration.service.isolation_ways import LABELS, MODELS, On

Change = Callable[[On, str], Awaitable[None]]

CHANGES: dict[str, Change] = {}


def changes(way: Change) -> Change:
    CHANGES[way.__name__] = way
    return way


def _word(on: On) -> str:
    return f"changed-{next(on.number)}"


@changes
async def orm_add(on: On, table: str) -> None:
    """The tenant is filled in."""
    if values := on.new(table):
        on.orm.add(MODELS[table](**values))
        await on.orm.flush()
        on.made(table, values)


@changes
async def orm_change(on: On, table: str) -> None:
    if row_id := on.some(table, deleted=None):
        found = await on.orm.get_one(MODELS[table], (on.tenant, row_id))
        word = _word(on)
        setattr(found, LABELS[table], word)
        await on.orm.flush()
        on.rows.tables[table][row_id].label = word


@changes
async def orm_delete(on: On, table: str) -> None:
    if row_id := on.some(table, deleted=None):
        await on.orm.delete(await on.orm.get_one(MODELS[table], (on.tenant, row_id)))
        await on.orm.flush()
        on.rows.remove(table, row_id)


@changes
async def orm_bulk_insert(on: On, table: str) -> None:
    rows = [values for values in (on.new(table), on.new(table)) if values]
    if rows:
        await on.orm.execute(insert(MODELS[table]), [{"tenant_id": on.tenant, **values} for values in rows])
    for values in rows:
        on.made(table, values)


@changes
async def orm_bulk_values(on: On, table: str) -> None:
    rows = [values for values in (on.new(table), on.new(table)) if values]
    if rows:
        await on.orm.execute(insert(MODELS[table]).values([{"tenant_id": on.tenant, **values} for values in rows]))
    for values in rows:
        on.made(table, values)


@changes
async def orm_bulk_update(on: On, table: str) -> None:
    """All that there are: there is no condition."""
    word = _word(on)
    changed = await on.orm.execute(update(MODELS[table]).values({LABELS[table]: word}))
    assert changed.rowcount == len(on.of(table)), "other rows than the tenant's own were changed"
    for _, row in on.of(table):
        row.label = word


@changes
async def orm_bulk_update_by_key(on: On, table: str) -> None:
    word = _word(on)
    keys = [{"tenant_id": on.tenant, "id": row_id, LABELS[table]: word} for row_id, _ in on.of(table)]
    if keys:
        await on.orm.execute(update(MODELS[table]), keys)
    for _, row in on.of(table):
        row.label = word


@changes
async def orm_bulk_delete(on: On, table: str) -> None:
    """All documents. All projects or users would end most examples early: of those, one by its label."""
    model = MODELS[table]
    if table == "document":
        await on.orm.execute(delete(model))
        on.rows.tables[table].clear()
    elif row_id := on.some(table, deleted=None):
        label = on.rows.tables[table][row_id].label
        await on.orm.execute(delete(model).where(getattr(model, LABELS[table]) == label))
        for one in [one for one, row in on.of(table) if row.label == label]:
            on.rows.remove(table, one)


@changes
async def core_insert(on: On, table: str) -> None:
    if values := on.new(table):
        await on.orm.execute(insert(MODELS[table].__table__).values({"tenant_id": on.tenant, **values}))
        on.made(table, values)


@changes
async def core_update(on: On, table: str) -> None:
    word = _word(on)
    changed = await on.orm.execute(update(MODELS[table].__table__).values({LABELS[table]: word}))
    assert changed.rowcount == len(on.of(table)), "other rows than the tenant's own were changed"
    for _, row in on.of(table):
        row.label = word


@changes
async def core_delete(on: On, table: str) -> None:
    if row_id := on.some(table, deleted=None):
        columns = MODELS[table].__table__.c
        await on.orm.execute(delete(MODELS[table].__table__).where(columns.id == row_id))
        on.rows.remove(table, row_id)


@changes
async def text_update(on: On, table: str) -> None:
    word = _word(on)
    changed = await on.orm.execute(text(f"UPDATE {table} SET {LABELS[table]} = :word"), {"word": word})
    assert changed.rowcount == len(on.of(table)), "other rows than the tenant's own were changed"
    for _, row in on.of(table):
        row.label = word


@changes
async def driver_update(on: On, table: str) -> None:
    word = _word(on)
    changed = await on.driver.execute(f"UPDATE {table} SET {LABELS[table]} = $1", word)
    assert changed == f"UPDATE {len(on.of(table))}", "other rows than the tenant's own were changed"
    for _, row in on.of(table):
        row.label = word


@changes
async def driver_insert(on: On, table: str) -> None:
    if values := on.new(table):
        await on.repository(table).insert(values)
        on.made(table, values)


@changes
async def driver_change(on: On, table: str) -> None:
    if row_id := on.some(table):
        word = _word(on)
        await on.repository(table).update(row_id, ANY, {LABELS[table]: word})
        on.rows.tables[table][row_id].label = word


@changes
async def driver_mark(on: On, table: str) -> None:
    if row_id := on.some(table):
        await on.repository(table).delete(row_id)
        on.rows.tables[table][row_id].deleted = True


@changes
async def driver_restore(on: On, table: str) -> None:
    if row_id := on.some(table, deleted=True):
        await on.repository(table).restore(row_id)
        on.rows.tables[table][row_id].deleted = False


@changes
async def driver_purge(on: On, table: str) -> None:
    if row_id := on.some(table, deleted=True):
        await on.repository(table).purge(row_id)
        on.rows.remove(table, row_id)
