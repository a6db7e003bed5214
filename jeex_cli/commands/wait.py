"""`jeex wait`."""

from __future__ import annotations

from jeex_cli.commands.common import Services, Timeout, command, typer_app
from jeex_cli.ops import lifecycle
from jeex_cli.session import Session

app = typer_app()


@command(app)
def wait(session: Session, services: Services = None, timeout: Timeout = None) -> None:
    """Return once services are healthy: exit 0, or 6 when the time is up, or 5 when one is down for good."""
    report = lifecycle.wait(session, services or ())
    session.output.result(report, f"healthy after {report.seconds:.1f} s")
