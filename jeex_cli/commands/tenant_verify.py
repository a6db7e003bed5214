"""`jeex tenant verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jeex_cli.commands.common import command
from jeex_cli.errors import JeexError
from jeex_cli.output import table
from jeex_cli.session import Session

Keep = Annotated[Path | None, typer.Option("--keep-evidence", metavar="FILE", help="Write every attack there, as JSON.")]


def add(app: typer.Typer) -> None:
    """Make it a command of `app`."""
    command(app, name="verify")(verify)


def verify(session: Session, keep_evidence: Keep = None) -> None:
    """Prove that tenants are kept apart: two canaries attack each other on the running stack, and are gone again."""
    from jeex_cli.ops import verify as proofs

    proof = proofs.verify(session)
    if keep_evidence is not None:
        proofs.keep(proof, keep_evidence)
    rows = [[one.area, str(one.tried), str(one.refused), str(one.holes), str(one.untried)] for one in proof.areas]
    text = table(("AREA", "TRIED", "REFUSED", "HOLES", "UNTRIED"), rows)
    try:
        proofs.judge(proof)
    except JeexError:
        if not session.output.json:  # there the error has it all
            session.output.result(None, text)
        raise
    session.output.result(proof, f"{text}\n\nEvery attack was refused; it took {proof.seconds:g} s.")
