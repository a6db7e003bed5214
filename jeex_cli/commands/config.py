"""`jeex config`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import configuration
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()


@app.callback()
def config() -> None:
    """Settings: flag, then environment, then what `jeex up` was given, then .env, then default."""


@command(app)
def show(
    session: Session,
    reveal: Annotated[str | None, typer.Option("--reveal", metavar="NAME", help="Show this one secret.")] = None,
) -> None:
    """Every setting, its value and where it came from; those of the service that stand in Vault too. Secrets are masked."""
    settings = configuration.show(session, reveal=reveal)
    in_vault = configuration.show_vault(session, reveal=reveal)
    data = {
        "project": session.project.root,
        "compose_file": session.project.compose_file,
        "settings": settings,
        "vault": in_vault,
    }
    rows = [[one.name, one.value, one.source] for one in [*settings, *(in_vault or ())]]
    head = f"project  {session.project.root}\nstack    {session.project.compose_file}\n\n"
    session.output.result(data, head + table(("SETTING", "VALUE", "SOURCE"), rows))
