"""`jeex trace`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands import log_view
from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import trace as ops
from jeex_cli.session import Session

app = typer_app()

Id = Annotated[str, typer.Argument(metavar="ID", help="Of a trace, a request or a job; its beginning will do.")]


@command(app)
def trace(session: Session, id: Id) -> None:
    """What one request or job did where, and how long each took: API, worker, PostgreSQL, Vault, jeex."""
    found = ops.trace(session, id)
    session.output.result(log_view.timeline_data(found), log_view.timeline(found, session.output))
