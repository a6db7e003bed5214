"""uvicorn, as every HTTP process of the platform runs it.

On SIGTERM (or Ctrl-C) readiness turns first: for `drain` seconds requests are still served while /ready says no, so that
whoever sends requests here stops; then the port closes, requests under way finish, and the process ends with code 0.
"""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from service.api.protocol import Protocol

GRACE = 10  # seconds that requests under way may take once the port is closed
KEEP_ALIVE = 65  # seconds; longer than the 60 of common proxies, so that they close first


class Draining:
    """Whether this process has been asked to end."""

    def __init__(self) -> None:
        self.started = False


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, draining: Draining, drain: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._draining.started = True
        super().handle_exit(sig, frame)
        # uvicorn would raise the signal again at the end; a process that ended as asked ends with code 0.
        self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await asyncio.sleep(self._drain)
        await super().shutdown(sockets)


def serve(app: ASGIApp, *, host: str, port: int, draining: Draining, drain: float = 0.0) -> int:
    """Serve until told to end. 0, or 1 when it could not start (the log says why)."""
    options: dict[str, Any] = {
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "log_config": None,  # our own, see core/logs.py
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": GRACE,
    }
    server = _Server(uvicorn.Config(app, host=host, port=port, **options), draining, drain)
    try:
        server.run()
    except SystemExit as error:  # how uvicorn says that the port is taken
        return int(error.code or 0) and 1
    return 0 if server.started else 1
