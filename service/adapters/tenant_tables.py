"""What a tenant consists of, found out from the models: who adds a table need not think of exports.

A table is a tenant's when it has `tenant_id`; `tenant` itself comes first, and what refers to a table comes behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Table, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from service.models import Base

ROOT = "tenant"


@dataclass(frozen=True, slots=True)
class TenantTable:
    """A table as exports have it: every column but those that PostgreSQL computes.

    `owner` is the column that says whose a row is. `ids` are those that hold an id of the tenant's own rows, `json` those
    that hold JSON: they travel as text, for a number must come back as it was written. `needed` must not be left out.
    """

    name: str
    owner: str
    columns: tuple[str, ...]
    types: dict[str, str]
    ids: frozenset[str]
    json: frozenset[str]
    needed: frozenset[str]

    @property
    def reading(self) -> str:
        """SQL of a row as the text of a JSON object."""
        pairs = ", ".join(f"'{one}', {one}::text" if one in self.json else f"'{one}', {one}" for one in self.columns)
        return f"json_build_object({pairs})::text"

    def inserting(self, columns: tuple[str, ...]) -> str:
        """SQL that inserts the rows of $1, an array of JSON objects with `columns`, for the tenant $2."""
        values = ", ".join("$2::uuid" if one == self.owner else f"r.{one}::{self.types[one]}" for one in columns)
        typed = ", ".join(f"{one} {'text' if one in self.json else self.types[one]}" for one in columns)
        return (
            f"INSERT INTO {self.name} ({', '.join(columns)}) "  # noqa: S608 - names of our own models
            f"SELECT {values} FROM json_to_recordset($1::json) AS r({typed})"
        )


def _described(table: Table) -> TenantTable:
    stored = [one for one in table.columns if one.computed is None]
    owner = "id" if table.name == ROOT else "tenant_id"
    keys = {one.parent.name for one in table.foreign_keys} | {
        one.name for one in table.primary_key.columns if isinstance(one.type, Uuid)
    }
    return TenantTable(
        str(table.name),
        owner,
        tuple(str(one.name) for one in stored),
        {one.name: _type(one) for one in stored},
        frozenset(keys - {owner}),
        frozenset(one.name for one in stored if isinstance(one.type, JSONB)),
        frozenset(one.name for one in stored if not one.nullable and one.server_default is None),
    )


def _type(column: Column[object]) -> str:
    return str(column.type.compile(postgresql.dialect())).partition(" COLLATE")[0]  # type: ignore[no-untyped-call]


TABLES: dict[str, TenantTable] = {
    str(one.name): _described(one)
    for one in sorted(Base.metadata.sorted_tables, key=lambda table: table.name != ROOT)
    if one.name == ROOT or "tenant_id" in one.columns
}
