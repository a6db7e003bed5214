# ruff: noqa: S608 - every text in these statements is the tests' own
"""What the tests of isolation know of a tenant's rows, and every way in which the platform can ask for them.

A way of READS answers with what it saw. Those through the ORM, Core or text() need a session, the others the driver alone.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from service.adapters import kinds
from service.adapters.repository import Asked, Repository, Statements
from service.core.errors import NotFound
from service.models import Document, Project, User

MODELS: dict[str, Any] = {"app_user": User, "project": Project, "document": Document}
LABELS = {"app_user": "display_name", "project": "name", "document": "title"}
KINDS = {kind.table: Statements(kind) for kind in (kinds.USER, kinds.PROJECT, kinds.DOCUMENT)}


@dataclass
class Row:
    """What the model knows of a row."""

    label: str
    deleted: bool = False
    project: uuid.UUID | None = None


class Rows:
    """What the model knows of a tenant's rows, by table and id."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[uuid.UUID, Row]] = {table: {} for table in MODELS}

    def copy(self) -> Rows:
        return copy.deepcopy(self)

    def remove(self, table: str, row_id: uuid.UUID) -> None:
        """A row and, with a project, its documents."""
        del self.tables[table][row_id]
        if table == "project":
            for document in [one for one, row in self.tables["document"].items() if row.project == row_id]:
                del self.tables["document"][document]


@dataclass
class On:
    """A transaction, and the rows that it should see. `session` is None where it has the driver alone."""

    tenant: uuid.UUID
    driver: asyncpg.Connection
    session: AsyncSession | None = None
    rows: Rows = field(default_factory=Rows)
    number: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def orm(self) -> AsyncSession:
        assert self.session is not None
        return self.session

    def repository(self, table: str) -> Repository:
        return Repository(KINDS[table], self.driver, self.tenant)

    def some(self, table: str, *, deleted: bool | None = False) -> uuid.UUID | None:
        """The oldest row of a table; None when there is none."""
        found = (one for one, row in self.of(table) if deleted is None or row.deleted is deleted)
        return next(found, None)

    def of(self, table: str) -> list[tuple[uuid.UUID, Row]]:
        return list(self.rows.tables[table].items())

    def new(self, table: str) -> dict[str, Any] | None:
        """Values of a row that does not exist yet; None for a document when there is no project."""
        word = f"new-{next(self.number)}"
        values: dict[str, Any] = {"id": uuid.uuid4(), LABELS[table]: word}
        if table == "app_user":
            return values | {"email": f"{word}@x.example"}
        if table == "project":
            return values | {"slug": f"{word}-{values['id'].hex[:8]}"}
        project = self.some("project", deleted=None)
        return values | {"path": f"{word}-{values['id'].hex[:8]}", "project_id": project} if project else None

    def made(self, table: str, values: dict[str, Any]) -> None:
        self.rows.tables[table][values["id"]] = Row(values[LABELS[table]], project=values.get("project_id"))


# tenant, id, label, table
Seen = tuple[uuid.UUID, uuid.UUID, str, str]
Read = Callable[[On, str], Awaitable[list[Seen]]]

READS: dict[str, Read] = {}


def needs_session(name: str) -> bool:
    """Whether a way does without the driver alone."""
    return name.startswith(("orm", "core", "text"))


def reads(way: Read) -> Read:
    READS[way.__name__] = way
    return way


def _object(one: Any) -> Seen:
    table = one.__tablename__
    return (one.tenant_id, one.id, getattr(one, LABELS[table]), table)


@reads
async def orm_entities(on: On, table: str) -> list[Seen]:
    return [_object(one) for one in (await on.orm.scalars(select(MODELS[table]))).all()]


@reads
async def orm_columns(on: On, table: str) -> list[Seen]:
    model = MODELS[table]
    found = await on.orm.execute(select(model.tenant_id, model.id, getattr(model, LABELS[table])))
    return [(*row, table) for row in found.all()]


@reads
async def orm_alias(on: On, table: str) -> list[Seen]:
    return [_object(one) for one in (await on.orm.scalars(select(aliased(MODELS[table])))).all()]


@reads
async def orm_stream(on: On, table: str) -> list[Seen]:
    return [_object(one) async for one in await on.orm.stream_scalars(select(MODELS[table]))]


@reads
async def orm_from_text(on: On, table: str) -> list[Seen]:
    statement = select(MODELS[table]).from_statement(text(f"SELECT * FROM {table}"))
    return [_object(one) for one in (await on.orm.scalars(statement)).all()]


@reads
async def orm_union(on: On, table: str) -> list[Seen]:
    model = MODELS[table]
    both = select(model).union(select(model)).subquery()
    return [_object(one) for one in (await on.orm.scalars(select(aliased(model, both)))).all()]


@reads
async def orm_nested(on: On, table: str) -> list[Seen]:
    model = MODELS[table]
    return [_object(one) for one in (await on.orm.scalars(select(model).where(model.id.in_(select(model.id))))).all()]


@reads
async def orm_get(on: On, table: str) -> list[Seen]:
    found = [await on.orm.get(MODELS[table], (on.tenant, row_id)) for row_id, _ in on.of(table)]
    return [_object(one) for one in found if one is not None]


@reads
async def orm_join(on: On, table: str) -> list[Seen]:
    """Joined by the project's id alone, as by someone who forgot the tenant; and every pair of a tenant's rows."""
    model = MODELS[table]
    joined = await on.orm.execute(select(Document, Project).join(Project, Project.id == Document.project_id))
    other = aliased(model)
    pairs = await on.orm.execute(select(model, other).join(other, other.id != model.id, isouter=True))
    return [_object(one) for row in (*joined.all(), *pairs.all()) for one in row if one is not None]


@reads
async def orm_aggregate(on: On, table: str) -> list[Seen]:
    """No column of the table is asked for."""
    model = MODELS[table]
    found = await on.orm.scalar(
        select(func.array_agg(func.concat(model.tenant_id, " ", model.id, " ", getattr(model, LABELS[table]))))
    )
    count = await on.orm.scalar(select(func.count()).select_from(model))
    assert count == len(found or ())
    split = [one.split(" ") for one in found or ()]
    return [(uuid.UUID(one), uuid.UUID(two), label, table) for one, two, label in split]


@reads
async def core_table(on: On, table: str) -> list[Seen]:
    columns = MODELS[table].__table__.c
    found = await on.orm.execute(select(columns.tenant_id, columns.id, columns[LABELS[table]]))
    return [(*row, table) for row in found.all()]


@reads
async def text_select(on: On, table: str) -> list[Seen]:
    found = await on.orm.execute(text(f"SELECT tenant_id, id, {LABELS[table]} FROM {table}"))
    return [(*row, table) for row in found.all()]


@reads
async def driver_select(on: On, table: str) -> list[Seen]:
    return [(*row, table) for row in await on.driver.fetch(f"SELECT tenant_id, id, {LABELS[table]} FROM {table}")]


@reads
async def driver_copy(on: On, table: str) -> list[Seen]:
    parts: list[bytes] = []

    async def keep(part: bytes) -> None:
        parts.append(part)

    await on.driver.copy_from_query(f"SELECT tenant_id, id, {LABELS[table]} FROM {table}", output=keep)
    split = [line.split("\t") for line in b"".join(parts).decode().splitlines()]
    return [(uuid.UUID(one), uuid.UUID(two), label, table) for one, two, label in split]


@reads
async def driver_page(on: On, table: str) -> list[Seen]:
    """Page by page, in every order, those that are deleted too; a list shows no tenant, hence the bound one."""
    repository = on.repository(table)
    seen: dict[uuid.UUID, Seen] = {}
    for sort in KINDS[table].kind.sorts:
        for deleted in (False, True):
            asked = Asked(limit=3, sort=sort, deleted=deleted)
            while True:
                page = await repository.page(asked)
                for one in map(json.loads, page.items):
                    seen[uuid.UUID(one["id"])] = (on.tenant, uuid.UUID(one["id"]), one[LABELS[table]], table)
                if page.last is None:
                    break
                asked = replace(asked, after=page.last)
    return list(seen.values())


@reads
async def driver_get(on: On, table: str) -> list[Seen]:
    """One by one; a row that is marked as deleted is not found, and taken as seen."""
    seen: list[Seen] = []
    for row_id, row in on.of(table):
        label = row.label
        try:
            label = json.loads((await on.repository(table).get(row_id)).json)[LABELS[table]]
        except NotFound:
            assert row.deleted, "a row of one's own is not found"
        seen.append((on.tenant, row_id, label, table))
    return seen
