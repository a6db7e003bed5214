"""How long the queue is, without asking PostgreSQL: `jeex status` is to answer at once."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from jeex_cli import probe
from jeex_cli.runtimes.base import ServiceState
from jeex_cli.session import Session

_FRESH = 30.0  # seconds; the worker says it every two
_SAID = re.compile(r"(\d+) waiting(?:, the oldest for (\d+) s)?, (\d+) running")


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Jobs that wait and jobs that run; `oldest` is how many seconds the first one has been due, 0 where none is."""

    waiting: int
    running: int
    oldest: float


def look(session: Session, services: list[ServiceState]) -> QueueDepth | None:
    """What the worker has written down, or else what the API says; None where neither is there."""
    states = {one.name: one for one in services}
    worker, api = states.get("worker"), states.get("api")
    if session.runtime.name == "embedded":
        return _written(session) if worker is not None and worker.status == "running" else None
    if api is None or api.status != "running" or api.port is None:
        return None
    return _said(probe.fetch(api.port, "/api/v1/system/status"))


def _written(session: Session) -> QueueDepth | None:
    try:
        found = json.loads((session.project.run / "worker" / "alive").read_text())
        if time.time() - found["at"] > _FRESH:
            return None
        return QueueDepth(int(found["waiting"]), int(found["running"]), float(found["oldest"]))
    except (OSError, ValueError, KeyError, TypeError):  # it has not counted yet, or is writing for the first time
        return None


def _said(body: bytes) -> QueueDepth | None:
    try:
        found: list[dict[str, Any]] = json.loads(body)["components"]
        detail = next(str(one["detail"]) for one in found if one["name"] == "queue")
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    said = _SAID.fullmatch(detail)
    return QueueDepth(int(said[1]), int(said[3]), float(said[2] or 0)) if said else None
