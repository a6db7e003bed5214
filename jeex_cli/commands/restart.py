"""`jeex restart`."""

from __future__ import annotations

from jeex_cli.commands.common import Services, Timeout, command, typer_app
from jeex_cli.commands.stack_view import stack_table
from jeex_cli.ops import lifecycle
from jeex_cli.session import Session

app = typer_app()


@command(app)
def restart(session: Session, services: Services = None, timeout: Timeout = None) -> None:
    """Stop and start again: everything, or the named services alone."""
    report = lifecycle.restart(session, services or ())
    session.output.result(report, f"\n{stack_table(session.output, report)}")
