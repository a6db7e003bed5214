"""`jeex secrets policy`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import vault_setup
from jeex_cli.ops.vault_setup import Policy
from jeex_cli.session import Session

app = typer_app()


@app.callback(epilog="Example: jeex secrets policy show api")
def policy() -> None:
    """What each process may do in Vault."""


@command(app)
def show(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="operator, api or worker; all by default.")] = None,
) -> None:
    """Policies as this version of jeex has them, and whether Vault has the same."""
    found = vault_setup.policies(session, name)
    hint = "" if all(one.same for one in found) else "jeex secrets seed"
    data = {"policies": found, "same": not hint, "hint": hint}
    session.output.result(data, "\n\n".join(_text(one) for one in found))


def _text(one: Policy) -> str:
    if one.same:
        said = "Vault has the same"
    elif one.in_vault is None:
        said = "Vault has none of that name; jeex secrets seed makes it"
    else:
        said = f"Vault has another; jeex secrets seed makes it this one:\n\n{one.difference}"
    return f"== {one.name}\n{one.declared.rstrip()}\n== {said}"
