"""How long the queue is, without asking PostgreSQL: `jeex status` is to answer at once."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
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


def asked(session: Session) -> Callable[[list[ServiceState]], QueueDepth | None]:
    """Begin to ask. What is returned waits for the answer, and is told how the services are: the worker has written it down,
    or else the API says it; None where neither is there.
    """
    if session.runtime.name == "embedded":
        return lambda services: _written(session) if _running(services, "worker") else None
    port = next((one.host_port for one in session.stack.services if one.name == "api"), None)
    if port is None:
        return lambda services: None
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(probe.fetch(port, "/api/v1/system/status")), daemon=True)
    thread.start()

    def answer(services: list[ServiceState]) -> QueueDepth | None:
        if not _running(services, "api"):
            return None
        thread.join()
        return _said(b"".join(said))

    return answer


def _running(services: list[ServiceState], name: str) -> bool:
    return any(one.name == name and one.status == "running" for one in services)


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
