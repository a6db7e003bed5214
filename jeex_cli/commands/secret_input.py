"""How values of secrets come in, and how somebody agrees to lose one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import typer

from jeex_cli.commands.common import wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import secret_rules, secrets
from jeex_cli.ops.secret_rules import Value
from jeex_cli.output import duration
from jeex_cli.session import Session


def read_value(session: Session, what: str, again: Sequence[str]) -> Value:
    """A value from stdin, or typed twice without being shown where that is a terminal. `again` is the command, for hints."""
    command = shlex.join(again)
    if not sys.stdin.isatty():
        return secret_rules.decoded(sys.stdin.buffer.read(secret_rules.READ_LIMIT), command)
    if session.output.json:
        raise UsageError(f"{what} has to come in on stdin", code="VALUE_NEEDED", hint=f'printf %s "$VALUE" | {command}')
    typed: str = typer.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    return secret_rules.decoded(typed.encode(), command)


def agreed_version(session: Session, path: str, yes: bool, again: Sequence[str]) -> int | None:
    """The version of `path` that the user has agreed to delete; None for whichever is the newest, where `yes` says so."""
    secrets.writable(path)
    if wants_yes(session, yes):
        return None
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            f"this would delete {path}, and nobody can be asked", code="NEEDS_YES", hint=shlex.join([*again, "--yes"])
        )
    found = secrets.describe(session, path)
    if not found.deleted:
        session.output.note(f"secret/jeex/{path}, version {found.version}, written {duration(found.age)} ago")
        if not typer.confirm(f"Delete version {found.version} of {path}? It can be brought back.", err=True):
            raise JeexError("nothing was deleted", code="DECLINED", hint=shlex.join(["jeex", "secrets", "get", path]))
    return found.version


def delete(session: Session, path: str, yes: bool, again: Sequence[str]) -> None:
    """Delete the newest version of `path`, and say how it comes back."""
    gone = secrets.delete(session, path, version=agreed_version(session, path, yes, again))
    done = "Deleted" if gone.changed else "Deleted before"
    back = shlex.join(["jeex", "secrets", "restore", path, "--version", str(gone.version)])
    session.output.result(gone, f"{done}: {path}, version {gone.version}\nTo bring it back: {back}")
