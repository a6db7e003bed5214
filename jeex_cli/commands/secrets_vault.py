"""The commands of `jeex secrets` that look after Vault as a whole: seed, rotate, status, unseal."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jeex_cli.commands.common import Timeout, command
from jeex_cli.ops import rotation, vault_setup
from jeex_cli.ops.rotation import Aged, Rotated, VaultStatus
from jeex_cli.output import duration, table
from jeex_cli.session import Session


class Kind(StrEnum):
    """What can be rotated."""

    jwt = "jwt"
    database = "database"
    api_pepper = "api-pepper"
    all = "all"


def add_to(app: typer.Typer) -> None:
    """Add these commands to `jeex secrets`."""
    command(app)(seed)
    command(app)(rotate)
    command(app)(status)
    command(app)(unseal)


def seed(session: Session, timeout: Timeout = None) -> None:
    """Make what is missing in Vault, as `jeex up` does. Nothing that is there is overwritten."""
    found = vault_setup.seed(session)
    rows = [[one.name, one.outcome.replace("_", " ")] for one in found]
    made = sum(one.outcome != "kept" for one in found)
    done = f"{made} made, {len(found) - made} kept" if made else "nothing to do: everything was there"
    session.output.result(found, f"{table(('WHAT', 'OUTCOME'), rows)}\n{done}")


def rotate(
    session: Session,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="jwt, database, api-pepper or all.")],
    timeout: Timeout = None,
) -> None:
    """Replace a secret of the platform while it runs. No request fails, and no token ends early."""
    done = rotation.rotate(session, list(rotation.kinds()) if kind is Kind.all else [kind.value])
    session.output.result(done, "\n".join(_said(one) for one in done))


def status(session: Session) -> None:
    """Vault, how old every secret is that may become too old, and when it is due."""
    found = rotation.status(session)
    rows = [
        [
            one.name,
            str(one.version),
            duration(one.age),
            "any" if one.most is None else duration(one.most),
            _due(one),
            one.by,
        ]
        for one in found.secrets
    ]
    session.output.result(found, f"{_head(found)}\n\n{table(('SECRET', 'VERSION', 'AGE', 'MAY BE', 'DUE', 'BY'), rows)}")


def unseal(session: Session) -> None:
    """Open a Vault that is sealed; one that was never used is made yours first."""
    from jeex_cli.ops import vault_seal

    found = vault_seal.unseal(session)
    session.output.result(found, str(found["detail"]))


def _said(one: Rotated) -> str:
    text = f"{one.kind:<12}version {one.version}"
    if one.signs_in is not None:
        return f"{text}: published, signs in {duration(one.signs_in)}; tokens of before hold"
    if one.replaced is None:
        return f"{text}: passwords follow when their owners sign in"
    logins = "login" if one.replaced == 1 else "logins"
    revoked = f", {one.revoked} that nobody gave back revoked" if one.revoked else ""
    return f"{text}: {one.replaced} {logins} replaced{revoked}"


def _head(found: VaultStatus) -> str:
    held = ", ".join(f"{count} {name}" for name, count in found.logins.items())
    return f"vault   {found.address}  {found.version}  open\nlogins  {sum(found.logins.values())} hold: {held}"


def _due(one: Aged) -> str:
    if one.due_in is None:
        return "never"
    return f"since {duration(-one.due_in)}" if one.due else f"in {duration(one.due_in)}"
