"""`jeex logs`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jeex_cli.commands import log_view
from jeex_cli.commands.common import Services, command, typer_app
from jeex_cli.ops import logs as ops
from jeex_cli.session import Session

app = typer_app()


class Level(StrEnum):
    """How bad something is at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


More = Annotated[list[str] | None, typer.Option("--service", "-s", metavar="NAME", help="This service; may be repeated.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new entries until Ctrl-C.")]
Tail = Annotated[
    int | None, typer.Option("--tail", "-n", metavar="N", help="Last N entries of each service, 100; -1, or --since: all.")
]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Not older than 10m, 2h, or an ISO time.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Not newer than that.")]
AtLeast = Annotated[Level | None, typer.Option("--level", "-l", help="As bad as that, or worse.")]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="What says that it is about this tenant.")]
Search = Annotated[str | None, typer.Option("--search", metavar="TEXT", help="With this text, in whatever case.")]


@command(app)
def logs(
    session: Session,
    *,
    services: Services = None,
    service: More = None,
    level: AtLeast = None,
    tenant: Tenant = None,
    search: Search = None,
    since: Since = None,
    until: Until = None,
    tail: Tail = None,
    follow: Follow = False,
) -> None:
    """Logs of all services in one time line; `cli` is jeex' own. With --json one object a line."""
    entries = ops.entries(
        session,
        [*(services or ()), *(service or ())],
        chosen=ops.Filter(level.value if level else None, tenant, search),
        tail=tail,
        since=ops.moment(since) if since else None,
        until=ops.moment(until, "--until") if until else None,
        follow=follow,
    )
    try:
        width = max((len(one.name) for one in session.stack.services), default=0)
        for entry in entries:
            if session.output.json:
                session.output.line(log_view.as_data(entry), "")
            else:
                session.output.line({}, "\n".join(log_view.lines(entry, session.output, width)))
    except KeyboardInterrupt:
        return  # how `--follow` ends
