"""`jeex ports`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import ports as ops
from jeex_cli.ops.ports import Listed, Overview
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app(no_args_is_help=False)

Number = Annotated[int, typer.Argument(metavar="PORT", min=1, max=65_535)]


@command(app, name="list", default=True)
def list_(session: Session) -> None:
    """Every port of the stack, and of the block that this checkout owns: which service's it is, and who holds it."""
    found = ops.overview(session)
    session.output.result(found, _text(found))


@command(app)
def free(session: Session, port: Number) -> None:
    """End a leftover of this project that holds PORT. What is another's, or a service at work, stays. Exit 4 then."""
    ended = ops.free(session, port)
    if ended is None:
        session.output.result({"port": port, "ended": None}, f"Nothing holds port {port}.")
    else:
        session.output.result({"port": port, "ended": ended}, f"Port {port} is free: ended {ended.who}.")


@command(app)
def reset(session: Session) -> None:
    """Forget which ports were moved. The next `jeex up` has those that were asked for, if they are free."""
    names = ops.reset(session)
    session.output.result(
        {"services": names},
        f"Forgotten for {', '.join(names)}; `jeex up` has the ports that were asked for." if names else "No port was moved.",
    )


def _text(found: Overview) -> str:
    rows = [[str(one.port), one.title or "-", one.state, _who(one)] for one in found.ports]
    head = f"this checkout owns {found.first}-{found.last}; what is not listed is free\n\n"
    return head + table(("PORT", "SERVICE", "STATE", ""), rows)


def _who(one: Listed) -> str:
    moved = f"in place of {one.asked}" if one.asked is not None else ""
    who = one.holder.who if one.holder is not None and one.state == "taken" else ""
    return ", ".join(filter(None, (moved, who)))[:50]
