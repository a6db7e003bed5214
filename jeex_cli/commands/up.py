"""`jeex up`."""

from __future__ import annotations

from jeex_cli.commands.common import RuntimeName, Services, StrictPorts, Timeout, command, typer_app
from jeex_cli.commands.stack_view import next_steps, stack_table
from jeex_cli.ops import lifecycle
from jeex_cli.session import Session

app = typer_app()


@command(app)
def up(
    session: Session,
    services: Services = None,
    timeout: Timeout = None,
    runtime: RuntimeName = None,
    strict_ports: StrictPorts = None,
) -> None:
    """Start what is not running, migrate, seed secrets, and wait until everything is healthy.

    A service whose port is taken gets another one of this checkout's block, and keeps it (jeex ports).
    Running it again changes nothing. Ctrl-C leaves what has started; `jeex up` goes on, `jeex down` stops it.
    """
    report = lifecycle.up(session, services or ())
    session.output.result(report, f"\n{stack_table(session.output, report)}\n\n{next_steps(report)}")
