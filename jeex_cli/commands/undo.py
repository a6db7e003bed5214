"""`jeex undo`."""

from __future__ import annotations

from jeex_cli.commands.common import Timeout, Yes, command, typer_app
from jeex_cli.commands.snapshot_view import agreed, restored
from jeex_cli.ops import snapshots
from jeex_cli.session import Session

app = typer_app(no_args_is_help=False)


@command(app)
def undo(session: Session, yes: Yes = False, timeout: Timeout = None) -> None:
    """Go back to before the last command that destroyed something: restores the last snapshot that jeex made by itself.

    It says which one that is, and asks. What there is now is saved first: another undo takes this one back.
    """
    from jeex_cli.ops import restore

    one = snapshots.last_automatic(session)
    agreed(session, one, yes, "jeex undo --yes")
    done = restore.restore(session, one.id)
    session.output.result(done, restored(done))
