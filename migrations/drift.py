"""How a live schema differs from what the models say, and the statements that would make it the same.

The models' schema is made for real, in a schema of its own within a transaction that is always rolled back: whatever ends
the comparison (an error, Ctrl-C, kill -9), nothing of it stays, and nobody else ever sees it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrations import catalogue
from migrations.catalogue import Facts, Name
from migrations.mend import statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

# What is of a table, and so is not worth a word where the whole table is missing or too much.
_OF_TABLE = ("column", "default", "not null", "constraint", "policy", "row security", "owner", "grant", "trigger", "rule")
_OF_SERVER = ("role", "role setting", "membership")


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is not as it should be. `found` or `wanted` is None where there is none at all.

    `mend` are the statements that would put it right, none where that needs a revision. `role` is who may run them.
    """

    kind: str
    name: str
    found: str | None
    wanted: str | None
    mend: tuple[str, ...] = ()
    role: str = "owner"

    @property
    def line(self) -> str:
        """What is there and what should be, as one line."""
        return f"{self.kind} {self.name}: {_said(self.found)}; should be {_said(self.wanted)}"


def _said(text: str | None) -> str:
    return "missing" if text is None else " ".join(text.split())


def look(connection: Connection) -> tuple[Difference, ...]:
    """The live schema (`public`) and its roles against models and bootstrap.sql. The owner's connection; changes nothing."""
    return _look(connection, server=True)


def look_at_schema(connection: Connection) -> tuple[Difference, ...]:
    """The same without what bootstrap.sql makes: what a revision can answer for."""
    return _look(connection, server=False)


def _look(connection: Connection, *, server: bool) -> tuple[Difference, ...]:
    with connection.begin() as transaction:
        found = live(connection) if server else catalogue.of_schema(connection, "public")
        wanted = modelled(connection) | (catalogue.SERVER if server else {})
        name = connection.exec_driver_sql("SELECT quote_ident(current_database())").scalar_one()
        transaction.rollback()
    return compare(found, wanted, database=name)


def live(connection: Connection) -> Facts:
    """The facts of the schema that is there, and of the server. Within a transaction."""
    return catalogue.of_schema(connection, "public") | catalogue.of_server(connection)


def modelled(connection: Connection) -> Facts:
    """The facts of the schema that the models make. In a transaction that the caller rolls back."""
    from sqlalchemy import text

    from service.models import Base

    schema = f"jeex_models_{secrets.token_hex(4)}"  # two comparisons at once must not wait for each other
    connection.execute(text(f"CREATE SCHEMA {schema}"))
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": f"{schema}, public"})
    Base.metadata.create_all(connection, checkfirst=False)
    return catalogue.of_schema(connection, schema)


def compare(found: Facts, wanted: Facts, *, database: str = "jeex") -> tuple[Difference, ...]:
    """What differs, by kind and name; what is of a table that is missing or too much goes without saying.

    `database` is how the statements that mend a difference name it.
    """
    different = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    tables = {name for kind, name in different if kind == "table"}
    columns = {
        name for kind, name in different if kind == "column" and (("column", name) in found) != (("column", name) in wanted)
    }
    return tuple(
        _difference(name, found, wanted, database)
        for name in different
        if not _goes_without_saying(name, found, wanted, tables, columns)
    )


def _difference(name: Name, found: Facts, wanted: Facts, database: str) -> Difference:
    kind, of = name
    on_server = kind in ("owner", *_OF_SERVER) or of.startswith(("SCHEMA ", "DATABASE "))
    made = list(statements(name, found, wanted))
    comment = ("comment", f"index {of}")
    if kind == "index" and name in wanted and comment in wanted:  # an index that is made anew has none
        made += statements(comment, {}, wanted)
    if of.startswith("DATABASE "):
        made = [one.replace(" DATABASE ", f" DATABASE {database} ") for one in made]
    return Difference(kind, of, found.get(name), wanted.get(name), tuple(made), "superuser" if on_server else "owner")


def _goes_without_saying(name: Name, found: Facts, wanted: Facts, tables: set[str], columns: set[str]) -> bool:
    kind, of = name
    if kind in ("default", "not null") and of in columns:
        return True
    if kind in _OF_TABLE:
        return of.split(" to ")[0].split(".")[0] in tables
    if kind == "index":
        return table_of_index(found.get(name) or wanted[name]) in tables
    if kind != "comment":
        return False
    what, _, target = of.partition(" ")
    if what != "index":
        return target.split(".")[0] in tables or target in columns
    return _of_index_goes(target, found, wanted, tables)


def _of_index_goes(index: str, found: Facts, wanted: Facts, tables: set[str]) -> bool:
    """A comment goes with its index; that of a key with the table."""
    key = ("index", index)
    definition = found.get(key) or wanted.get(key)
    table = table_of_index(definition) if definition else index.removeprefix("pk_")
    return (key in found) != (key in wanted) or table in tables


def table_of_index(definition: str) -> str:
    """The table that an index is on, from its definition."""
    words = definition.split()
    name = words[words.index("ON") + 1]
    return words[words.index("ON") + 2] if name == "ONLY" else name
