"""`jeex logs`."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Annotated

import typer

from jeex_cli.commands.common import Services, command, typer_app
from jeex_cli.ops import logs as ops
from jeex_cli.output import Output
from jeex_cli.runtimes.base import Line
from jeex_cli.session import Session

app = typer_app()

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")]
Tail = Annotated[int, typer.Option("--tail", "-n", metavar="N", help="Last N lines of each service; -1 for all.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Not older than 10m, 2h, or an ISO time.")]

_COLORS = ("36", "33", "35", "32", "34", "31")


@command(app)
def logs(session: Session, services: Services = None, follow: Follow = False, tail: Tail = 100, since: Since = None) -> None:
    """Logs of all services in one time line. With --json one object a line: service, time, text."""
    moment = ops.moment(since) if since else None
    try:
        lines = ops.lines(session, services or (), tail=tail, since=moment, follow=follow)
        width = max((len(service.name) for service in session.stack.services), default=0)
        for line in lines:
            _show(session.output, line, width)
    except KeyboardInterrupt:
        return  # how `--follow` ends


def _show(output: Output, line: Line, width: int) -> None:
    stamp = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds") if line.at else None
    color = _COLORS[zlib.crc32(line.service.encode()) % len(_COLORS)] if output.stdout.isatty() else ""
    output.line(
        {"service": line.service, "time": stamp, "text": line.text},
        f"{output.paint(line.service.ljust(width), color)} | {line.text}",
    )
