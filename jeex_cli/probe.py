"""Readiness: one question to a server, over its own protocol, without a client library.

A command such as `jeex status` asks five servers in a few milliseconds; importing their clients would take longer than
asking. What a probe sends is the first message of each protocol and nothing more. `jeex health` uses the real clients.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import assert_never

from jeex_cli.stack import HttpProbe, PostgresProbe, Probe, RedisProbe

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """`ready`, and where it is not, what the server said instead. `open` tells whether anything listens at all."""

    ready: bool
    detail: str = ""
    open: bool = True


def ask(probe: Probe, port: int, *, timeout: float = 1.0) -> Answer:
    """Ask the server on 127.0.0.1:`port` whether it is ready to work; at most about `timeout` seconds."""
    try:
        with _connected(port, timeout) as connection:
            match probe:
                case HttpProbe(path=path):
                    return _http(connection, path, port)
                case PostgresProbe():
                    return _postgres(connection)
                case RedisProbe():
                    return _redis(connection)
                case _:
                    assert_never(probe)
    except ConnectionRefusedError:
        return Answer(False, "nothing listens", open=False)
    except TimeoutError:
        return Answer(False, f"no answer within {timeout:g} s")
    except OSError as error:
        return Answer(False, error.strerror or str(error))


def fetch(port: int, path: str, *, timeout: float = 2.0) -> bytes:
    """The body that the server on 127.0.0.1:`port` answers a GET with; nothing where it does not answer 200 in time."""
    request = f"GET {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\nUser-Agent: jeex-probe\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with _connected(port, timeout) as connection:
            connection.sendall(request.encode("ascii"))
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.split(b" ", 2)[1:2] == [b"200"] else b""


def _connected(port: int, timeout: float) -> socket.socket:
    """As socket.create_connection, which looks the address up: Python loads tables of international names for that."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((HOST, port))
    except BaseException:
        connection.close()
        raise
    return connection


def is_free(port: int) -> bool:
    """Whether nothing has 127.0.0.1:`port`. Whether this user may listen there is another question."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # As servers do it: a connection that lingers in TIME_WAIT does not hold the port.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True


def _http(connection: socket.socket, path: str, port: int) -> Answer:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: jeex-probe\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode("ascii"))
    status = connection.recv(4096).split(b"\r\n", 1)[0].split(b" ", 2)
    if len(status) < 2 or not status[1].isdigit():
        return Answer(False, "does not speak HTTP")
    code = int(status[1])
    return Answer(True) if 200 <= code < 300 else Answer(False, f"HTTP {code}")


def _postgres(connection: socket.socket) -> Answer:
    # A start-up message (protocol 3.0) as pg_isready sends it: a server that takes connections asks for a password,
    # one that is still recovering or shutting down answers with an error of SQLSTATE 57P03.
    body = struct.pack("!I", 196608) + b"user\0jeex_probe\0database\0postgres\0application_name\0jeex-probe\0\0"
    connection.sendall(struct.pack("!I", len(body) + 4) + body)
    reply = connection.recv(4096)
    if reply[:1] == b"R":
        return Answer(True)
    if reply[:1] != b"E":
        return Answer(False, "does not speak PostgreSQL's protocol")
    fields = {field[:1]: field[1:].decode(errors="replace") for field in reply[5:].split(b"\0") if field}
    # Any other refusal (no such role, no such database) comes from a server that is up.
    return Answer(fields.get(b"C") not in ("57P03", "53300"), fields.get(b"M", ""))


def _redis(connection: socket.socket) -> Answer:
    connection.sendall(b"PING\r\n")
    reply = connection.recv(4096).split(b"\r\n", 1)[0]
    # Without a password the server answers NOAUTH, and answers at all only once its data is loaded.
    if reply.startswith((b"+PONG", b"-NOAUTH")):
        return Answer(True)
    return Answer(False, reply.decode(errors="replace").lstrip("-"))
