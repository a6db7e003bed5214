"""`jeex db`: the schema, where it stands and whither; db_data.py is about what is in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jeex_cli.commands import db_data, db_schema
from jeex_cli.commands.common import Timeout, Yes, command, typer_app
from jeex_cli.commands.db_ask import confirm
from jeex_cli.errors import UsageError
from jeex_cli.ops import database, migrating, rollback
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]


class Role(StrEnum):
    """Who psql connects as."""

    app = "app"
    admin = "admin"
    owner = "owner"
    superuser = "superuser"


@app.callback()
def db() -> None:
    """The stack's database."""


@command(app)
def migrate(
    session: Session,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="REV", help="As far as this revision; else the newest.")] = None,
    dry_run: DryRun = False,
    no_lint: Annotated[bool, typer.Option("--no-lint", help="Apply what `jeex db lint` objects to.")] = False,
    timeout: Timeout = None,
) -> None:
    """Bring the schema to the newest revision. Twice is the same as once."""
    if dry_run:
        planned = migrating.plan(session, to)
        sql = migrating.script(planned)
        _would(session, [one.id for one in planned.revisions], planned.current, planned.target, sql)
        return
    result = migrating.migrate(session, to, lint=not no_lint)
    done = f"{len(result.applied)} applied, now at {result.after}" if result.applied else f"nothing to do, at {result.after}"
    session.output.result(result, done)


@command(app, name="rollback")
def rollback_(
    session: Session,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="REV", help="Back to this revision; base for none.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="So many revisions; else one.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    timeout: Timeout = None,
) -> None:
    """Take revisions back. Says what that loses, and asks."""
    if to is not None and steps is not None:
        raise UsageError("--to and --steps are two ways to say the same", hint="jeex db rollback --to REV")
    planned, losses = rollback.plan(session, to, steps)
    if dry_run:
        ids = [one.id for one in planned.revisions]
        _would(session, ids, planned.current, planned.target, rollback.script(planned), lost=[one.line for one in losses])
        return
    if not planned.revisions:
        session.output.result(
            migrating.Migrated(planned.current, planned.current), f"nothing to do, at {planned.current or 'nothing'}"
        )
        return
    migrating.announce(session, planned, "take back")
    target = planned.target or "base"
    confirm(
        session,
        yes=yes,
        what=f"This takes the schema back from {planned.current} to {planned.target or 'nothing'}",
        losing=[one.line for one in losses] or ["no rows are lost"],
        again=f"jeex db rollback --to {target}",
    )
    result = rollback.rollback(session, planned)
    session.output.result(
        {**_plain(result), "lost": losses},
        f"{len(result.applied)} taken back, now at {result.after or 'nothing'}; "
        "the API is not ready until the next `jeex db migrate`",
    )


@command(app)
def reset(session: Session, yes: Yes = False, timeout: Timeout = None) -> None:
    """Drop everything in the schema and migrate anew. Says what is in it, and asks."""
    losses = [one for one in rollback.contents(session) if one.what != "table alembic_version"]
    confirm(
        session,
        yes=yes,
        what="This drops every table, and what else is in the schema",
        losing=[one.line for one in losses] or ["there is no table"],
        again="jeex db reset",
    )
    result = rollback.reset(session)
    session.output.result({**_plain(result), "lost": losses}, f"empty, and at {result.after}")


@command(app)
def status(session: Session) -> None:
    """Where the schema stands, and what is pending."""
    found = database.status(session)
    pending = [{"id": one.id, "message": one.message} for one in found.pending]
    data = {
        "current": found.current,
        "head": found.head,
        "pending": pending,
        "invalid_indexes": list(found.invalid),
        "migrating": found.migrating,
    }
    lines = [f"current  {found.current or 'none: the database is empty'}", f"head     {found.head}"]
    lines += [f"pending  {one.id}  {one.message}" for one in found.pending]
    lines += [f"invalid  {name}: broken off halfway; jeex db migrate, or jeex db check" for name in found.invalid]
    lines += ["a migration is under way"] if found.migrating else []
    session.output.result(data, "\n".join(lines))


@command(app)
def history(session: Session) -> None:
    """Every revision, oldest first."""
    found = database.history()
    data = [{"id": one.id, "message": one.message, "date": one.date, "parent": one.parent} for one in found]
    rows = [[one.id, str(one.date), one.message] for one in found]
    session.output.result(data, table(("REVISION", "DATE", "MESSAGE"), rows))


@command(app, context_settings={"ignore_unknown_options": False})
def shell(
    session: Session,
    role: Annotated[
        Role, typer.Option("--role", help="app or admin (row security applies), owner, or superuser.")
    ] = Role.admin,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- PSQL ARGS]", help="Passed on to psql.")] = None,
) -> None:
    """psql on the stack's database: jeex db shell -- -c 'select 1'"""
    database.shell(session, role.value, arguments or ())


def _would(
    session: Session, ids: list[str], current: str | None, target: str | None, sql: str, *, lost: list[str] | None = None
) -> None:
    for line in lost or ():
        session.output.note(f"lost: {line}")
    data = {"before": current, "after": target, "revisions": ids, "sql": sql} | ({"lost": lost} if lost is not None else {})
    session.output.result(data, sql.rstrip() or f"-- nothing to do, at {current or 'nothing'}")


def _plain(result: migrating.Migrated) -> dict[str, object]:
    return {"before": result.before, "after": result.after, "applied": result.applied, "snapshot": result.snapshot}


db_schema.register(app)
db_data.register(app)
