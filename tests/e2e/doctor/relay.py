"""Between jeex and a Docker engine: the true answers, with what a test wants to be otherwise."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENGINE = "/var/run/docker.sock"
_SILENCE = 0.02  # seconds after which a piece was the last one


@contextmanager
def relay(at: Path, pattern: bytes, text: bytes) -> Iterator[str]:
    """A socket at `at`, as DOCKER_HOST has it, whose answers have `text` in place of `pattern`, of the same length."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(ENGINE)
                asking = threading.Thread(target=_copy, args=(self.request, engine, None, None), daemon=True)
                asking.start()
                _copy(engine, self.request, re.compile(pattern), text)

    class Server(socketserver.ThreadingUnixStreamServer):
        request_queue_size = 64  # doctor asks for every container at once

    with Server(str(at), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"unix://{at}"
        finally:
            server.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket, pattern: re.Pattern[bytes] | None, text: bytes | None) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(1 << 20):
            if pattern is not None and text is not None:
                block = pattern.sub(lambda found: text.ljust(len(found[0])), block + _rest(source))
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


def _rest(source: socket.socket) -> bytes:
    """What follows at once: an answer comes in pieces, and what is looked for may lie across two."""
    found = b""
    while select.select([source], [], [], _SILENCE)[0] and (block := source.recv(1 << 20)):
        found += block
    return found
