"""`jeex db`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jeex_cli.commands.common import Timeout, command, typer_app
from jeex_cli.ops import database
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()


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
def migrate(session: Session, timeout: Timeout = None) -> None:
    """Bring the schema to the newest revision. Twice is the same as once."""
    result = database.migrate(session)
    applied = [revision.id for revision in result.applied]
    data = {"before": result.before, "after": result.after, "applied": applied}
    done = f"{len(applied)} applied, now at {result.after}" if applied else f"nothing to do, at {result.after}"
    session.output.result(data, done)


@command(app)
def status(session: Session) -> None:
    """Where the schema stands, and what is pending."""
    found = database.status(session)
    pending = [{"id": one.id, "message": one.message} for one in found.pending]
    data = {"current": found.current, "head": found.head, "pending": pending}
    lines = [f"current  {found.current or 'none: the database is empty'}", f"head     {found.head}"]
    lines += [f"pending  {one.id}  {one.message}" for one in found.pending]
    session.output.result(data, "\n".join(lines))


@command(app)
def history(session: Session) -> None:
    """Every revision, oldest first."""
    found = database.history()
    data = [{"id": one.id, "message": one.message, "date": one.date} for one in found]
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
