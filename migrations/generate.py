"""A new revision, drafted from what the models say and the revisions do not make yet.

Both are made for real and compared in PostgreSQL's own words (drift.py): so it sees what Alembic's autogenerate misses,
which is CHECKs, predicates, policies, grants and row security. New tables are written by SQLAlchemy, the file by Alembic.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrations import catalogue, drift, offline
from migrations.catalogue import Facts
from migrations.drift import Difference
from migrations.mend import statements
from migrations.revisions import Revision, head
from service.core.errors import MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

_OF_TABLE = ("row security", "policy", "grant", "comment", "trigger", "rule", "function", "type", "owner")
_ORDER = ("function", "type", "row security", "policy", "grant", "comment", "trigger", "rule", "owner")
_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")  # what SQLAlchemy's text() would take for a parameter


@dataclass(frozen=True, slots=True)
class Draft:
    """The bodies of upgrade() and downgrade(), as Python; `changes` says in a line each what they are about."""

    upgrades: str
    downgrades: str
    changes: tuple[str, ...]


def draft(connection: Connection) -> Draft:
    """What is between the schema that the revisions make and that of the models. The owner's connection; changes nothing."""
    from sqlalchemy import MetaData, Table

    from service.models import Base

    with connection.begin() as transaction:
        made = _revised(connection)
        gone = MetaData()
        models = Base.metadata.tables
        dropped = [
            Table(name, gone, autoload_with=connection) for kind, name in made if kind == "table" and name not in models
        ]
        wanted = drift.modelled(connection)
        transaction.rollback()
    new = [one for one in Base.metadata.sorted_tables if ("table", one.name) not in made]
    return Draft(_body(made, wanted, new), _body(wanted, made, dropped), tuple(map(_change, drift.compare(made, wanted))))


def _change(one: Difference) -> str:
    if one.found is None:
        return f"{one.kind} {one.name}: {one.wanted}"
    return (
        f"{one.kind} {one.name} goes"
        if one.wanted is None
        else f"{one.kind} {one.name}: {one.wanted}, in place of {one.found}"
    )


def _revised(connection: Connection) -> Facts:
    """The facts of the schema that the revisions make, in one transaction: nobody else is there who would wait."""
    schema = f"jeex_revised_{secrets.token_hex(4)}"
    connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    connection.exec_driver_sql(f"SET LOCAL search_path = {schema}, public")
    for raw in offline.upgrade(None, head()):
        statement = re.sub(r"^--[^\n]*$", "", raw, flags=re.MULTILINE).strip().replace(" CONCURRENTLY ", " ", 1)
        if statement not in ("", "BEGIN;", "COMMIT;"):
            connection.exec_driver_sql(statement)
    return catalogue.of_schema(connection, schema)


def write(made: Draft, message: str, folder: Path) -> Path:
    """The file, in `folder`: the next revision after the newest."""
    from argparse import Namespace

    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(offline.INI, cmd_opts=Namespace(quiet=True))  # Alembic would say on stdout what it writes
    config.set_main_option("version_locations", str(folder))
    scripts = ScriptDirectory.from_config(config)
    needed = [name for name in ("create_index", "drop_index") if f"{name}(" in made.upgrades + made.downgrades]
    imports = f"\nfrom migrations.steps import {', '.join(needed)}\n" if needed else ""
    script = scripts.generate_revision(
        f"{int(head()) + 1:04d}", message, head="head", upgrades=made.upgrades, downgrades=made.downgrades, imports=imports
    )
    if script is None:
        raise MigrationFailed("Alembic wrote nothing", code="REVISION_NOT_WRITTEN")
    return Path(script.path)


def next_revision() -> Revision:
    """The newest revision there is, once a file was written."""
    from migrations.revisions import history

    return history()[-1]


def _body(found: Facts, wanted: Facts, new: Iterable[Table]) -> str:
    """What turns `found` into `wanted`: first what tables in use can take, a statement at a time, then the rest at once."""
    created = {one.name: _create(one) for one in new}
    alone: list[str] = []
    together = [_execute(statement) for statement in created.values()]
    last: list[str] = []
    drops: list[str] = []
    for one in _differences(found, wanted, created):
        table = _table(one, found, wanted)
        if one.kind == "table":
            if one.name not in created:
                drops.append(one.name)
        elif table in created:
            together += [_plain_index(statement) for statement in one.mend if one.kind not in ("column", "constraint")]
        elif one.kind in _OF_TABLE:
            together += [_execute(statement) for statement in one.mend]
        elif one.kind == "constraint" and any(f"REFERENCES {name}(" in (one.wanted or "") for name in created):
            last += [_execute(statement) for statement in one.mend]
        elif one.kind == "column" and one.wanted is None:
            alone.append(_execute(one.mend[0]))
        else:
            alone += [_index(statement) for statement in one.mend]
    last += [_execute(f"DROP TABLE {name}") for name in sorted(drops, key=_dependents_first)]
    lines = []
    if alone:
        lines += ["with op.get_context().autocommit_block():", *(f"    {line}" for one in alone for line in one.split("\n"))]
    lines += [line for one in (*together, *last) for line in one.split("\n")]
    return "\n".join(line if not place else f"    {line}" if line else "" for place, line in enumerate(lines)) or "pass"


def _dependents_first(table: str) -> int:
    """A place for DROP TABLE: a table goes before those that it refers to; one that no model knows goes first."""
    from service.models import Base

    known = [one.name for one in Base.metadata.sorted_tables]
    return -known.index(table) if table in known else -len(known)


def _differences(found: Facts, wanted: Facts, created: Mapping[str, str]) -> list[Difference]:
    """Everything that has to be said, in an order that works: columns, then what stands on them; columns that go, last."""
    said = [one for one in drift.compare(found, wanted) if one.kind != "comment" or not one.name.startswith("index ")]
    comments = [one for one in drift.compare(found, wanted) if one.kind == "comment" and one.name.startswith("index ")]
    for kind, name in sorted(wanted):  # of a new table nothing goes without saying
        of_index = kind == "index" and drift.table_of_index(wanted[kind, name]) in created
        if of_index or (kind in ("row security", "policy", "grant") and name.split(" to ")[0].split(".")[0] in created):
            said.append(_said(kind, name, wanted))
        if kind == "comment" and name.startswith("index ") and _owner(name[6:], wanted) in created:
            comments.append(_said(kind, name, wanted))
    rank = {"column": 0, "default": 1, "not null": 2, "constraint": 3, "index": 4}
    return sorted(
        [*said, *comments],
        key=lambda one: (
            9 if one.kind == "column" and one.wanted is None else rank.get(one.kind, 5),
            _ORDER.index(one.kind) if one.kind in _ORDER else 0,
        ),
    )


def _said(kind: str, name: str, wanted: Facts) -> Difference:
    found: Facts = {(kind, name): "DISABLE, NO FORCE"} if kind == "row security" else {}
    return Difference(kind, name, None, wanted[kind, name], tuple(statements((kind, name), found, wanted)))


def _owner(index: str, facts: Facts) -> str:
    definition = facts.get(("index", index))
    return drift.table_of_index(definition) if definition else index.removeprefix("pk_")


def _table(one: Difference, found: Facts, wanted: Facts) -> str:
    if one.kind == "index":
        return drift.table_of_index(one.wanted or one.found or "")
    if one.kind == "comment":
        what, _, target = one.name.partition(" ")
        return _owner(target, {**found, **wanted}) if what == "index" else target.split(".")[0]
    return one.name.split(" to ")[0].split(".")[0]


def _create(table: Table) -> str:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    text = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    lines = (line.rstrip().replace("\t", "  ") for line in text.strip().splitlines() if line.strip())
    return "\n".join(line.replace(" REFERENCES ", "\n    REFERENCES ") if len(line) > 100 else line for line in lines)


def _plain_index(statement: str) -> str:
    """A new table is empty and nobody's yet: its indexes come with it."""
    return _execute(statement.replace(" CONCURRENTLY IF NOT EXISTS", ""))


def _index(statement: str) -> str:
    if match := re.match(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\S+) ", statement):
        text = _literal(statement)
        short = f'create_index("{match[1]}", {text})'
        return short if len(short) <= 100 else f'create_index(\n    "{match[1]}",\n    {text},\n)'
    if match := re.match(r"DROP INDEX CONCURRENTLY IF EXISTS (\S+)$", statement):
        return f'drop_index("{match[1]}")'
    return _execute(statement)


def _execute(statement: str) -> str:
    escaped = _BIND.sub(r"\\:", statement)
    if "\n" not in escaped and len(escaped) <= 90:
        return f"op.execute({_literal(escaped)})"
    if " DROP CONSTRAINT IF EXISTS " in escaped and " ADD CONSTRAINT " in escaped:
        # What it drops, it puts back; interrupted, it can be run again.
        return f'op.execute(\n    "-- squawk-ignore ban-drop-constraint\\n"\n    {_literal(escaped)}\n)'
    if '"""' in escaped or "\\" in escaped or "\n" not in escaped:
        return f"op.execute(\n    {_literal(escaped)}\n)"
    body = "\n".join(f"    {line}" for line in escaped.splitlines())
    return f'op.execute(\n    """\n{body}\n    """\n)'


def _literal(text: str) -> str:
    """A Python literal; a long one in pieces, so that it can be read."""
    pieces, width = [], 100 if len(text) > 110 else 110
    words = re.split(r"(?<= )", text)
    line = ""
    for word in words:
        if line and len(line) + len(word) > width:
            pieces.append(line)
            line = ""
        line += word
    pieces.append(line)
    quoted = ['"' + one.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' for one in pieces]
    return "\n    ".join(quoted) if len(quoted) > 1 else quoted[0]
