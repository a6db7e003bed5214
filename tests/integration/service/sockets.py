"""HTTP by hand, for clients that say what no library would let them say."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HOST = b"Host: localhost\r\n"
GET = b"GET /where HTTP/1.1\r\n" + HOST
POST = b"POST /json HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
WHERE = '"http://localhost/where"'  # what GET answers


class Connection:
    """A socket that tells the answers apart."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self._socket.makefile("rb")
        self.number: int = self._socket.getsockname()[1]

    def send(self, *parts: bytes, pause: float = 0.0) -> None:
        """Until it is done, or the server has closed."""
        for part in parts:
            time.sleep(pause)
            try:
                self._socket.sendall(part)
            except OSError:
                return

    def answer(self, *, content: bool = True) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers of the next one; status 0 when there is none."""
        line = self._line()
        headers: dict[str, str] = {}
        while line and (field := self._line()):
            name, _, value = field.partition(": ")
            headers[name] = value
        if not line:
            return 0, None, {}
        body = self._file.read(int(headers["content-length"])) if content else b""
        found = (
            json.loads(body) if headers.get("content-type", "").startswith("application/problem") and body else body.decode()
        )
        return int(line.split()[1]), found, headers

    def problem(self) -> tuple[int, str, str]:
        """Status, code and what becomes of the connection."""
        status, found, headers = self.answer()
        assert headers["content-type"] == "application/problem+json"
        assert found["status"] == status
        return status, found["code"], headers.get("connection", "")

    def closed(self) -> bool:
        """Whether nothing more comes, and the connection ends."""
        return self._line() == "" and not self._file.read(1)

    def _line(self) -> str:
        try:
            return self._file.readline().decode().rstrip("\r\n")
        except ConnectionError:
            return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    one = Connection(port)
    try:
        yield one
    finally:
        one.close()


def chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, b"a" * size)
