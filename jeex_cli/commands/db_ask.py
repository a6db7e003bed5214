"""Asking before something is lost."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from jeex_cli.commands.common import wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.session import Session


def confirm(session: Session, *, yes: bool, what: str, losing: Sequence[str], again: str) -> None:
    """Return once the user has agreed to `what`; `losing` names what goes. `again` is the command that does not ask.

    Raises UsageError where nobody can be asked, JeexError where the answer is no.
    """
    if wants_yes(session, yes):
        for line in losing:
            session.output.note(f"lost: {line}")
        return
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            f"{what}, and nobody can be asked", code="NEEDS_YES", detail="\n".join(losing), hint=f"{again} --yes"
        )
    session.output.note(f"{what}:")
    for line in losing:
        session.output.note(f"  {line}")
    if not typer.confirm("Do it?", err=True):
        raise JeexError("nothing was changed", code="DECLINED")
