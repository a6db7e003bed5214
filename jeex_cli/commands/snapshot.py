"""`jeex snapshot`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jeex_cli.commands.common import Timeout, Yes, command, typer_app
from jeex_cli.commands.snapshot_view import agreed, found, listing, restored, size
from jeex_cli.ops import snapshots
from jeex_cli.session import Session

app = typer_app()

Id = Annotated[str, typer.Argument(metavar="ID", help="As jeex snapshot list has it.")]


@app.callback()
def snapshot() -> None:
    """Everything that the stack knows at one moment: tenants, secrets, queue. Restores with Docker and without."""


@command(app)
def save(
    session: Session,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="What it is for; jeex snapshot list shows it.")
    ] = "",
    timeout: Timeout = None,
) -> None:
    """Save everything, verify it, and keep it until it is deleted. The stack goes on working."""
    done = snapshots.save_now(session, reason=reason)
    session.output.result(
        {**asdict(done.snapshot), "size": done.snapshot.size, "folder": done.folder, "seconds": done.seconds},
        f"Saved {done.snapshot.id}: {size(done.snapshot.size)} in {done.folder}\n"
        f"To go back to it: jeex snapshot restore {done.snapshot.id}",
    )


@command(app, name="list")
def list_(session: Session) -> None:
    """Every snapshot, newest first: those of yours, and those that jeex has made before it destroyed something."""
    every = snapshots.list_all(session)
    session.output.result(every, listing(every) if every else "There is no snapshot yet: jeex snapshot save makes one.")


@command(app)
def show(session: Session, id: Id) -> None:
    """What one holds: versions, rows by table, keys by type. Every file is read and compared with its checksum."""
    one = snapshots.show(session, id)
    session.output.result({**asdict(one), "size": one.size, "verified": True}, found(one))


@command(app)
def restore(session: Session, id: Id, yes: Yes = False, timeout: Timeout = None) -> None:
    """Have everything as it was. What there is now is saved first, so that jeex undo comes back to it.

    A snapshot that does not fit is refused before anything is touched. One that is interrupted is finished, or taken back,
    by the next jeex up.
    """
    from jeex_cli.ops import restore as operation

    one = snapshots.show(session, id)
    agreed(session, one, yes, f"jeex snapshot restore {id} --yes")
    done = operation.restore(session, id)
    session.output.result(done, restored(done))


@command(app)
def delete(session: Session, id: Id) -> None:
    """Delete one for good. Nothing else is touched."""
    snapshots.delete(session, id)
    session.output.result({"id": id, "deleted": True}, f"Deleted {id}.")


@command(app)
def export(
    session: Session,
    id: Id,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tar file; it must not be there yet.")],
) -> None:
    """Write one to a file, to keep it or to restore it elsewhere.

    Rows and queue are readable in it; secrets of Vault's are encrypted, and what opens them stays in .env: it is said.
    """
    from jeex_cli.ops import snapshot_files

    done = snapshot_files.export(session, id, file)
    session.output.note(
        "In this file whoever has it can read: all rows (names, addresses, hashes of passwords and keys), and Redis."
    )
    session.output.note(
        f"Not in it, and needed to restore it elsewhere: {', '.join(done.needs)} of {session.project.env_file}"
    )
    session.output.result(done, f"Wrote {done.file}: {size(done.size)}.")


@command(app, name="import")
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What jeex snapshot export has written.")],
    timeout: Timeout = None,
) -> None:
    """Take a file in as a snapshot. What is not as it was exported is refused, and nothing is restored yet."""
    from jeex_cli.ops import snapshot_files

    done = snapshot_files.take_in(session, file)
    after = f"To go back to it: jeex snapshot restore {done.snapshot.id}"
    if not done.opens:
        after = f"It cannot be restored here yet: {done.problem}"
    session.output.result(done, f"Took in {done.snapshot.id}, {size(done.snapshot.size)}.\n{after}")
