"""`jeex health`."""

from __future__ import annotations

from jeex_cli.commands.common import command, typer_app
from jeex_cli.errors import Unhealthy
from jeex_cli.ops import health as ops
from jeex_cli.ops.doctor import examine
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()


@command(app)
def health(session: Session) -> None:
    """Connect to every service with its real client and credentials. Exit 5 if one does not answer."""
    found = ops.check(session)
    rows = [
        [
            one.title,
            "ok" if one.ok else "FAILED",
            one.version or "",
            "" if one.latency_ms is None else f"{one.latency_ms:.1f} ms",
            one.detail,
        ]
        for one in found
    ]
    text = table(("SERVICE", "HEALTH", "VERSION", "LATENCY", ""), rows)
    failed = [one for one in found if not one.ok]
    if not failed:
        session.output.result({"services": found}, text)
        return
    if not session.output.json:
        session.output.result(None, text)
    error = Unhealthy(
        f"{', '.join(one.title for one in failed)}: not healthy",
        hint="jeex up starts what is down; jeex logs SERVICE shows why",
        data={"services": found},
    )
    raise examine.explained(session, [one.name for one in failed], error)
