"""What happens before something is lost for good."""

from __future__ import annotations

from jeex_cli.session import Session


def before_loss(session: Session, what: str) -> str | None:
    """Keep what `what` ("purging acme") is about to lose. The name of the snapshot; None where none is made.

    The one place that every command which destroys data calls first; what it raises keeps the command from going on.
    """
    return None
