"""`jeex version`."""

from __future__ import annotations

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import versions
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()


@command(app)
def version(session: Session) -> None:
    """Versions of jeex, Python, and the packages and servers it works with."""
    found = versions.collect()
    rows = [[name, number or "not installed"] for name, number in found.items()]
    session.output.result(found, table(("PACKAGE", "VERSION"), rows))
