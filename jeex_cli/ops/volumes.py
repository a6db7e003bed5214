"""The data that the stack keeps."""

from __future__ import annotations

from jeex_cli.runtimes.base import Volume
from jeex_cli.session import Session


def list_all(session: Session) -> list[Volume]:
    """Where the project's data is, of the runtime that it uses; empty where there is none yet. Changes nothing."""
    return session.runtime.volumes(session.stack)
