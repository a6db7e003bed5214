"""`jeex jobs`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import jobs
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first digits of it.")]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="SLUG", help="Of this tenant; by default of the one in use, or of all.")
]
Limit = Annotated[int, typer.Option("--limit", metavar="NUMBER", min=1, max=1000, help="No more than so many.")]


@app.callback()
def group() -> None:
    """What is done without being waited for."""


@command(app, name="list")
def list_(
    session: Session,
    tenant: Tenant = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="queued, running, done, dead or cancelled.")
    ] = None,
    limit: Limit = 50,
) -> None:
    """Jobs, newest first."""
    found = jobs.list_all(session, _meant(session, tenant), status=status, limit=limit)
    _print(session, found, "There are no such jobs.")


@command(app)
def dead(session: Session, tenant: Tenant = None, limit: Limit = 50) -> None:
    """Jobs that were given up, and why. `jeex jobs retry ID` begins one anew."""
    _print(session, jobs.list_all(session, _meant(session, tenant), status="dead", limit=limit), "No job is dead.")


@command(app)
def show(session: Session, job_id: Id, tenant: Tenant = None) -> None:
    """One job with everything that is known of it."""
    found = jobs.show(session, tenant, job_id)
    width = max(len(name) for name in found)
    lines = [f"{name.replace('_', ' '):<{width}}  {_text(value)}" for name, value in found.items()]
    session.output.result(found, "\n".join(lines))


@command(app)
def cancel(session: Session, job_id: Id, tenant: Tenant = None) -> None:
    """Cancel a job that waits, or ask one that runs to stop."""
    found = jobs.cancel(session, tenant, job_id)
    done = "is cancelled" if found["status"] == "cancelled" else "is asked to stop"
    session.output.result(found, f"{found['id']} {done}")


@command(app)
def retry(session: Session, job_id: Id, tenant: Tenant = None) -> None:
    """Begin a dead or cancelled job anew, with all of its attempts."""
    found = jobs.retry(session, tenant, job_id)
    session.output.result(found, f"{found['id']} is queued again")


def _meant(session: Session, tenant: str | None) -> str | None:
    """The tenant that was named, else the one in use; None for all. An empty name means all."""
    if tenant is not None:
        return tenant or None
    chosen = session.settings.given("JEEX_TENANT")
    if chosen:
        session.output.note(f"of {chosen}, which is in use; of all: --tenant ''")
    return chosen


def _print(session: Session, found: list[dict[str, Any]], nothing: str) -> None:
    rows = [
        [
            one["id"],
            one["tenant"],
            one["kind"],
            one["status"],
            f"{one['attempts']}/{one['max_attempts']}",
            str(one["created_at"])[:16].replace("T", " "),
            (one["error"] or one["message"]).split("\n")[0][:60],
        ]
        for one in found
    ]
    head = ("JOB", "TENANT", "KIND", "STATUS", "TRIED", "CREATED", "")
    session.output.result(found, table(head, rows) if rows else nothing)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    return "" if value is None else str(value)
