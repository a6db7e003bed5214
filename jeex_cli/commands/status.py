"""`jeex status`."""

from __future__ import annotations

from jeex_cli.commands.common import command, typer_app
from jeex_cli.commands.stack_view import stack_table
from jeex_cli.ops import lifecycle
from jeex_cli.session import Session

app = typer_app()


@command(app)
def status(session: Session) -> None:
    """Every service: its state, since when, and where it is. Exit 0 even if one is down; `jeex health` judges."""
    report = lifecycle.status(session)
    session.output.result(report, stack_table(session.output, report))
