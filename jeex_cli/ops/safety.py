"""What happens before something is lost for good."""

from __future__ import annotations

from jeex_cli import state
from jeex_cli.session import Session


def before_loss(session: Session, what: str) -> str | None:
    """Keep what `what` ("purging acme") is about to lose. The id of the snapshot; None where none is made.

    The one place that every command which destroys data calls first; what it raises keeps the command from going on.
    """
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        return before_loss_locked(session.anew(), what)


def before_loss_locked(session: Session, what: str) -> str | None:
    """The same, for who holds the project's lock."""
    from jeex_cli.ops import snapshots

    if not snapshots.wanted(session):
        return None
    if missing := snapshots.stopped(session):
        session.output.note(f"no snapshot is made: {' and '.join(missing)} must run to be saved")
        return None
    return snapshots.save(session, reason=f"before {what}").snapshot.id
