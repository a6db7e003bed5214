"""`jeex runtime`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jeex_cli.commands.common import Timeout, command, typer_app
from jeex_cli.ops import runtimes
from jeex_cli.ops import switch as operation
from jeex_cli.ops.switch import Switched
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()


class Target(StrEnum):
    """What can run a stack."""

    compose = "compose"
    embedded = "embedded"


@app.callback()
def runtime() -> None:
    """What runs the stack: Docker Compose, or the servers of the wheels."""


@command(app)
def show(session: Session) -> None:
    """Which runtime this project uses and why, and whether each of them could run here."""
    found = runtimes.show(session)
    rows = [
        [one.name, "in use" if one.used else "", "yes" if one.works else "no", ", ".join(one.data) or "none"]
        for one in found.options
    ]
    lines = [f"{found.runtime}, decided by: {found.why}", "", table(("RUNTIME", "", "WORKS HERE", "DATA"), rows)]
    lines += [f"{one.name}: {one.problem} [{one.code}]\n  try: {one.hint}" for one in found.options if not one.works]
    if found.unfinished:
        lines.append(f"A switch to {found.unfinished} was broken off; `jeex runtime switch` clears away what it left.")
    session.output.result(found, "\n".join(lines))


@command(app)
def switch(
    session: Session,
    target: Annotated[Target, typer.Argument(help="compose or embedded.")],
    carry_data: Annotated[
        bool, typer.Option("--carry-data", help="Copy database, secrets and queue too, compare, and start everything.")
    ] = False,
    timeout: Timeout = None,
) -> None:
    """Use the other runtime from now on. The data that it leaves is kept; a switch that fails changes nothing."""
    done = operation.switch(session, target.value, carry_data=carry_data)
    session.output.result(done, _told(done))


def _told(done: Switched) -> str:
    if not done.changed:
        return f"The runtime is {done.runtime} already; nothing was changed."
    if done.carried is not None:
        what = f"{done.carried.rows:,} rows of {done.carried.tables} tables and {done.carried.keys:,} Redis keys are"
        lines = [f"The stack runs on {done.runtime}. {what} the same on both sides."]
        kept = f"The data of {done.before} is kept as it was"
    else:
        lines = [f"The runtime is {done.runtime} now; nothing runs. `jeex up` starts it with the data that it has there."]
        kept = f"The data of {done.before} stays where it is"
    if done.kept:
        lines += [f"{kept}: {', '.join(done.kept)}", f"To delete it: {done.delete_kept}"]
    return "\n".join(lines)
