"""Taking revisions back, and starting over: what that would lose is said first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jeex_cli import state
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import database, migrating
from jeex_cli.ops.connection import ask
from jeex_cli.ops.failures import translated
from jeex_cli.ops.migrating import Migrated, Plan
from jeex_cli.session import Session

_TABLE = re.compile(r"^DROP TABLE (?:IF EXISTS )?(\S+?);?$", re.MULTILINE)
_ALTERED = re.compile(r"^ALTER TABLE (\S+) (.*DROP COLUMN.*)$", re.MULTILINE)
_COLUMN = re.compile(r"DROP COLUMN (?:IF EXISTS )?([\w\"]+)")
_OBJECTS = """
SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
         WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, relname)
  FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('e', 'a', 'i'))
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_proc p
 WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
UNION ALL
SELECT format('DROP TYPE IF EXISTS public.%I CASCADE', typname) FROM pg_type t
 WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'r')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = t.oid AND deptype IN ('e', 'i'))
"""
_TABLES = (
    "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is dropped, and how many rows are in it (of a column: how many have a value)."""

    what: str
    rows: int

    @property
    def line(self) -> str:
        """As people read it."""
        return f"{self.what}: {self.rows} {'rows' if self.what.startswith('table') else 'values'}"


def plan(session: Session, to: str | None, steps: int | None) -> tuple[Plan, list[Loss]]:
    """What would be taken back, newest first, and what that would lose. Without `to` and `steps` it is one revision.

    Raises UsageError for a revision that does not exist or is newer than the database.
    """
    from migrations import revisions

    here = migrating.plan(session).current
    line = revisions.history()
    known = [one.id for one in line]
    place = known.index(here) if here else -1
    if to is None:
        wanted = place - (1 if steps is None else steps)
        if wanted < -1 and here is not None:
            raise UsageError(
                f"the database is only {place + 1} revisions from empty", code="TOO_MANY_STEPS", hint="jeex db status"
            )
        wanted = max(wanted, -1)
    else:
        wanted = -1 if to == "base" else known.index(migrating.resolve(to))
        if wanted > place:
            raise UsageError(
                f"revision {to} is newer than the database, which is at {here or 'none'}",
                code="NOT_BEHIND",
                hint=f"jeex db migrate --to {to}",
            )
    back = Plan(here, line[wanted].id if wanted >= 0 else None, line[wanted + 1 : place + 1][::-1])
    return back, _losses(session, back)


def script(planned: Plan) -> str:
    """The SQL of a way back."""
    from migrations import offline

    if not planned.revisions or planned.current is None:
        return ""
    return offline.script(offline.downgrade(planned.current, planned.target))


def rollback(session: Session, planned: Plan) -> Migrated:
    """Go back. Raises JeexError where the database is no longer where it was when the plan was made, or a revision fails."""
    from migrations import runner

    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        if migrating.plan(session).current != planned.current:
            raise JeexError(
                "somebody has migrated the database meanwhile; nothing was changed",
                code="PLAN_OUTDATED",
                hint="jeex db status",
            )
        snapshot = database.snapshot_before(session, "db rollback")
        url = database.url(session, "owner")
        try:
            with translated():
                result = runner.downgrade(url, planned.target or "base", listener=migrating.listener(session))
        except JeexError as error:
            raise migrating.explained(session, error, planned, snapshot) from error
        return Migrated(result.before, result.after, [one.id for one in result.applied], snapshot or "")


def contents(session: Session) -> list[Loss]:
    """Every table and its rows, whoever made it."""

    async def look(connection: Any) -> list[Loss]:
        return [await _rows(connection, str(name)) for (name,) in await connection.fetch(_TABLES)]

    return ask(session, "superuser", look)


def reset(session: Session) -> Migrated:
    """Drop everything in the schema, whoever made it, and migrate anew. Raises as `migrate` does."""
    from migrations.lock import only_one
    from migrations.runner import WAIT

    async def drop(connection: Any) -> None:
        async with only_one(connection, wait=WAIT), connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            # By now the statements of one may have taken another along: hence IF EXISTS.
            for (statement,) in await connection.fetch(_OBJECTS):
                await connection.execute(statement)

    with translated():
        with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
            snapshot = database.snapshot_before(session, "db reset")
            ask(session, "superuser", drop)
        done = migrating.migrate(session, lint=False)
    return Migrated(done.before, done.after, done.applied, snapshot or "")


def _losses(session: Session, back: Plan) -> list[Loss]:
    """What the statements of the way back would drop, counted as the superuser: the owner sees no row."""
    sql = script(back)
    tables = [name for name in _TABLE.findall(sql) if name != "alembic_version"]
    columns = [(table, column) for table, rest in _ALTERED.findall(sql) for column in _COLUMN.findall(rest)]

    async def look(connection: Any) -> list[Loss]:
        return [
            *[await _rows(connection, name) for name in tables],
            *[await _rows(connection, *one) for one in columns if one[0] not in tables],
        ]

    return ask(session, "superuser", look) if tables or columns else []


async def _rows(connection: Any, table: str, column: str | None = None) -> Loss:
    where = "" if column is None else f" WHERE {column} IS NOT NULL"
    count = await connection.fetchval(f'SELECT count(*) FROM public."{table}"{where}')  # noqa: S608 - names of the catalogue
    return Loss(f"table {table}" if column is None else f"column {table}.{column}", int(count))
