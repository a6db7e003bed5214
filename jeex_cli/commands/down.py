"""`jeex down`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jeex_cli.commands.common import Timeout, Yes, command, typer_app, wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import lifecycle
from jeex_cli.session import Session

app = typer_app()

DeleteData = Annotated[bool, typer.Option("--delete-data", help="Delete the databases too. Asks first.")]
NoSnapshot = Annotated[
    bool, typer.Option("--no-snapshot", help="With --delete-data: do not save it first. Nothing brings it back.")
]


@command(app)
def down(
    session: Session,
    timeout: Timeout = None,
    delete_data: DeleteData = False,
    no_snapshot: NoSnapshot = False,
    yes: Yes = False,
) -> None:
    """Stop everything, dependents first. Data stays, unless --delete-data says otherwise: then it is saved first, if it
    runs.
    """
    if delete_data and not wants_yes(session, yes):
        _ask(session)
    report = lifecycle.down(session, delete_data=delete_data, snapshot=not no_snapshot)
    kept = f"its data is deleted; {session.project.env_file.name} stays" if delete_data else "its data stays"
    said = f"The stack is down, {kept}. `jeex up` starts it again."
    if report.snapshot:
        said += f"\nWhat there was is in {report.snapshot}: `jeex undo` brings it back."
    session.output.result(report, said)


def _ask(session: Session) -> None:
    going = session.runtime.volumes(session.stack)
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            "--delete-data would delete every tenant, every secret and the queue, and nobody can be asked",
            code="NEEDS_YES",
            detail="\n".join(one.name for one in going),
            hint="jeex down --delete-data --yes",
        )
    session.output.note("This deletes every tenant, every secret, the queue:")
    for one in going:
        session.output.note(f"  {one.name}")
    if not typer.confirm("Delete it?", err=True):
        raise JeexError(
            "nothing was stopped or deleted", code="DECLINED", hint="jeex down stops the stack and keeps its data"
        )
