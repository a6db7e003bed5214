"""Rows of one kind, of one tenant: found, listed, made, changed, deleted, restored, purged.

Every statement names the tenant, whether or not the caller thinks of it; row security says the same once more. The
statements go to the driver, and PostgreSQL writes the JSON that the API answers with: the way through the ORM and back costs
five times as much. Nothing of a request becomes part of a statement's text.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from service.adapters.freshness import touch
from service.adapters.kinds import Kind
from service.core.errors import Conflict, InvalidInput, NotFound, PreconditionFailed

ANY: frozenset[int] = frozenset()  # whatever version a row has


@dataclass(frozen=True, slots=True)
class Row:
    """A row as the API shows it: `json` is its body, `version` counts its changes."""

    id: uuid.UUID
    version: int
    json: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked: up to `limit` rows in the order of `sort`, behind the row that `after` names by (sort, id)."""

    limit: int = 50
    sort: str = "created_at"
    descending: bool = False
    deleted: bool = False
    filters: Mapping[str, object] = field(default_factory=dict)
    after: tuple[object, uuid.UUID] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`items` are JSON texts; `last` is where the next page goes on, None at the end."""

    items: Sequence[str]
    last: tuple[object, uuid.UUID] | None


class Statements:
    """The statements of a kind, made once. Their first parameters are those of `key`: the tenant, if any, and the id."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.key = "tenant_id = $1 AND id = $2" if kind.of_tenant else "id = $1"
        self.json = json_of(kind.columns)
        self.short = json_of({name: column for name, column in kind.columns.items() if name not in kind.heavy})
        self.one = f"SELECT row_version, {self.json} FROM {kind.table} WHERE {self.key} AND deleted_at IS NULL"  # noqa: S608
        self.again = f"SELECT row_version, deleted_at FROM {kind.table} WHERE {self.key}"  # noqa: S608
        self.returning = f"RETURNING id, row_version, {self.json}"


class Repository:
    """Rows of a kind over a connection that is bound to the tenant (None for kinds that belong to none)."""

    def __init__(self, statements: Statements, driver: asyncpg.Connection, tenant_id: uuid.UUID | None) -> None:
        if statements.kind.of_tenant != isinstance(tenant_id, uuid.UUID):
            raise TypeError(f"rows of {statements.kind.table} are of {'one' if statements.kind.of_tenant else 'no'} tenant")
        self._sql = statements
        self._kind = statements.kind
        self._driver = driver
        self._scope: tuple[uuid.UUID, ...] = (tenant_id,) if tenant_id else ()

    async def get(self, row_id: uuid.UUID) -> Row:
        """The row of that id. Raises NotFound."""
        found = await self._driver.fetchrow(self._sql.one, *self._scope, row_id)
        if found is None:
            raise self._unknown()
        return Row(row_id, found[0], found[1])

    async def page(self, asked: Asked) -> Page:
        """The rows that were asked for, a page of them."""
        kind, values = self._kind, list[object](self._scope)

        def bound(value: object) -> str:
            values.append(value)
            return f"${len(values)}"

        column = "deleted_at" if asked.deleted else kind.sorts[asked.sort]
        where = ["tenant_id = $1"] if kind.of_tenant else []
        where.append("deleted_at IS NOT NULL" if asked.deleted else "deleted_at IS NULL")
        for name, value in asked.filters.items():
            if name in kind.prefixes:
                where.append(f"{kind.prefixes[name]} >= {bound(value)}")
                where.append(f"{kind.prefixes[name]} < {bound(_end_of_prefix(str(value)))}")
            else:
                where.append(f"{kind.filters[name]} = {bound(value)}")
        order = [column] if column == "id" else [column, "id"]
        if asked.after is not None:
            sign = "<" if asked.descending else ">"
            mark = ", ".join(bound(value) for value in (asked.after if len(order) == 2 else asked.after[1:]))
            where.append(f"({', '.join(order)}) {sign} ({mark})" if len(order) == 2 else f"id {sign} {mark}")
        direction = " DESC" if asked.descending else ""
        found = await self._driver.fetch(
            f"SELECT id, {column}, {self._sql.short} FROM {kind.table} WHERE {' AND '.join(where)} "  # noqa: S608
            f"ORDER BY {', '.join(name + direction for name in order)} LIMIT {bound(asked.limit + 1)}",
            *values,
        )
        more = len(found) > asked.limit
        rows = found[: asked.limit]
        return Page([row[2] for row in rows], (rows[-1][1], rows[-1][0]) if more else None)

    async def latest(self, count: int) -> list[uuid.UUID]:
        """The ids of the rows that changed last."""
        where = "tenant_id = $1 AND deleted_at IS NULL" if self._kind.of_tenant else "deleted_at IS NULL"
        found = await self._driver.fetch(
            f"SELECT id FROM {self._kind.table} WHERE {where} ORDER BY updated_at DESC, id DESC "  # noqa: S608
            f"LIMIT ${len(self._scope) + 1}",
            *self._scope,
            count,
        )
        return [row[0] for row in found]

    async def insert(self, values: Mapping[str, object]) -> Row:
        """A new row. `values` are by column. Raises Conflict, NotFound, InvalidInput."""
        if self._kind.of_tenant:
            values = {"tenant_id": self._scope[0], **values}
        marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        return await self._write(
            f"INSERT INTO {self._kind.table} ({', '.join(values)}) VALUES ({marks}) {self._sql.returning}",  # noqa: S608
            *self._stored(values),
        )

    async def update(
        self, row_id: uuid.UUID, versions: frozenset[int], values: Mapping[str, object], *, also: str = ""
    ) -> Row:
        """The row with `values` (by column) in place of what it had, when it is at one of `versions`.

        `also` is SQL of the caller's own for further assignments; `{column}` in it is the new value of that column.
        Raises NotFound, PreconditionFailed, Conflict, InvalidInput.
        """
        if not values:
            row = await self.get(row_id)
            if versions and row.version not in versions:
                raise self._stale(row.version)
            return row
        first = len(self._scope) + 3
        marks = {name: f"${first + place}" for place, name in enumerate(values)}
        changes = [f"{name} = {mark}" for name, mark in marks.items()]
        return await self._change(
            row_id, versions, ", ".join([*changes, also.format(**marks)] if also else changes), *self._stored(values)
        )

    async def delete(self, row_id: uuid.UUID, versions: frozenset[int] = ANY) -> None:
        """Mark the row as deleted, as of the transaction's now(). Raises NotFound, PreconditionFailed."""
        await self._change(row_id, versions, "deleted_at = now()")

    async def restore(self, row_id: uuid.UUID) -> tuple[Row, datetime]:
        """Undo a deletion; the row, and when it had been deleted. Raises NotFound, Conflict (when it is not, or taken)."""
        deleted_at = await self._deleted_at(row_id)
        row = await self._write(
            f"UPDATE {self._kind.table} SET deleted_at = NULL, {_CHANGED} WHERE {self._sql.key} "  # noqa: S608
            f"AND deleted_at IS NOT NULL {self._sql.returning}",
            *self._scope,
            row_id,
        )
        return row, deleted_at

    async def purge(self, row_id: uuid.UUID) -> None:
        """Remove a deleted row for good, and what hangs on it. Raises NotFound, Conflict when it is not deleted."""
        await self._deleted_at(row_id)
        self._touch()
        await self._driver.execute(f"DELETE FROM {self._kind.table} WHERE {self._sql.key}", *self._scope, row_id)  # noqa: S608

    def _stored(self, values: Mapping[str, object]) -> list[object]:
        return [json.dumps(value) if name in self._kind.as_json else value for name, value in values.items()]

    async def _deleted_at(self, row_id: uuid.UUID) -> datetime:
        found = await self._driver.fetchrow(f"{self._sql.again} FOR UPDATE", *self._scope, row_id)
        if found is None:
            raise self._unknown()
        if found["deleted_at"] is None:
            raise Conflict(f"this {self._kind.name} is not deleted", code="NOT_DELETED", hint="delete it first")
        when: datetime = found["deleted_at"]
        return when

    async def _change(self, row_id: uuid.UUID, versions: frozenset[int], changes: str, *values: object) -> Row:
        place = len(self._scope) + 2
        try:
            return await self._write(
                f"UPDATE {self._kind.table} SET {changes}, {_CHANGED} WHERE {self._sql.key} "  # noqa: S608
                f"AND deleted_at IS NULL AND (${place}::int[] IS NULL OR row_version = ANY(${place}::int[])) "
                f"{self._sql.returning}",
                *self._scope,
                row_id,
                list(versions) or None,
                *values,
            )
        except NotFound:
            found = await self._driver.fetchrow(self._sql.again, *self._scope, row_id)
            if found is None or found["deleted_at"] is not None:
                raise
            raise self._stale(found["row_version"]) from None

    async def _write(self, statement: str, *values: object) -> Row:
        self._touch()
        try:
            found = await self._driver.fetchrow(statement, *values)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise self._refused(error) from error
        if found is None:
            raise self._unknown()
        return Row(found[0], found[1], found[2])

    def _touch(self) -> None:
        if self._scope:
            touch(self._scope[0], self._kind.table)

    def _refused(self, error: asyncpg.IntegrityConstraintViolationError) -> Conflict | NotFound | InvalidInput:
        name = str(error.constraint_name or "")
        if known := self._kind.taken.get(name):
            return Conflict(known.message, field=known.field, code=known.code)
        if known := self._kind.missing.get(name):
            return NotFound(known.message, code=known.code)
        # ck_<table>_<column>: what a rule of the API should have refused before.
        column = name.removeprefix(f"ck_{self._kind.table}_")
        if column == name:
            raise error
        return InvalidInput(f"the database refuses this {column}", field=column)

    def _unknown(self) -> NotFound:
        return unknown(self._kind)

    def _stale(self, version: int) -> PreconditionFailed:
        return PreconditionFailed(
            f"this {self._kind.name} has changed meanwhile; it is at version {version}",
            hint="read it again, and send the change with its new ETag",
        )


def unknown(kind: Kind) -> NotFound:
    """What is said of a row that is not there."""
    return NotFound(f"there is no {kind.name} of that id", code=f"{kind.name.upper()}_UNKNOWN")


_CHANGED = "row_version = row_version + 1, updated_at = now()"


def json_of(columns: Mapping[str, str]) -> str:
    """SQL for one row as the text of a JSON object. `columns` maps its names to columns."""
    pairs = ", ".join(f"'{name}', {column}" for name, column in columns.items())
    return f"json_build_object({pairs})::text"


def _end_of_prefix(prefix: str) -> str:
    """The first text, in the order of bytes, behind all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
