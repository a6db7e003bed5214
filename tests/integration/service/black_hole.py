"""Between a client and a server: a relay, or a dead address, which accepts everything and never answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.integration.service.machine import free_port


@dataclass
class BlackHole:
    """A relay on `port`. While `silent`, bytes vanish, those of connections that were there before as well. What has one of
    the words in `slow` arrives `pause` seconds later."""

    target: int
    port: int = field(default_factory=free_port)
    silent: bool = False
    slow: tuple[bytes, ...] = ()
    pause: float = 1.0
    accepted: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    def redirected(self, url: str) -> str:
        """`url` by way of here."""
        return url.replace(f":{self.target}", f":{self.port}")

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            self._open += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                if any(word in block for word in self.slow):
                    time.sleep(self.pause)
                if not self.silent:
                    target.sendall(block)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def black_hole(target: int) -> Iterator[BlackHole]:
    """One before the server on the port `target`."""
    hole = BlackHole(target)
    with socket.create_server(("127.0.0.1", hole.port), backlog=256) as listener:
        thread = threading.Thread(target=hole.serve, args=(listener,))
        thread.start()
        try:
            yield hole
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            hole.close()
