"""Containers, asked for over the engine's socket with nothing but the standard library.

The docker SDK does everything else. To import it and to ask through it takes 80 ms, which is what `docker compose ps` takes
as a whole; `jeex status` is the command that people and scripts run most. An HTTP client would be another 10.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

_TIMEOUT = 20  # seconds for one answer
_CHUNK = 65_536


def inspected(path: str, labels: list[str]) -> list[dict[str, Any]]:
    """What the engine behind the socket at `path` knows of each container with `labels`, as `docker inspect` prints it.

    Raises OSError where it does not answer, or not as an engine does.
    """
    listed = _get(path, f"/containers/json?all=1&filters={quote(json.dumps({'label': labels}))}") or []
    found = (_get(path, f"/containers/{quote(one['Id'])}/json") for one in listed)
    return [one for one in found if one is not None]


def running(path: str) -> list[dict[str, Any]]:
    """Every container that runs, as the engine lists them. Raises OSError as above."""
    return list(_get(path, "/containers/json") or [])


def who_may(path: str) -> str:
    """Who may open the socket, and who asks; "" where there is none, or it cannot be seen."""
    import grp
    import pwd

    try:
        found = Path(path).stat()
    except OSError:
        return ""

    def name(look: Callable[[int], Sequence[Any]], id: int) -> str:
        try:
            return str(look(id)[0])
        except KeyError:
            return str(id)

    owner, group = name(pwd.getpwuid, found.st_uid), name(grp.getgrgid, found.st_gid)
    groups = ", ".join(name(grp.getgrgid, id) for id in {os.getegid(): 0, **dict.fromkeys(os.getgroups())})
    asking = f"{name(pwd.getpwuid, os.geteuid())}, of {groups}"
    return f"{path} belongs to {owner}:{group}, mode {found.st_mode & 0o777:04o}; you are {asking}"


def _get(path: str, target: str) -> Any:
    """The answer, None for what is not there (any more)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(path)
        # Version 1.0: one answer, not in chunks, and then the connection ends.
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode("ascii"))
        answer = b"".join(iter(lambda: connection.recv(_CHUNK), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or not status[1].isdigit():
        raise OSError(f"{path} does not speak HTTP")
    if status[1] == b"404":
        return None
    try:
        if status[1] != b"200":
            raise ValueError(status[1].decode())
        return json.loads(body)
    except ValueError as error:
        raise OSError(f"{path} does not answer as a Docker engine does: {body[:200].decode(errors='replace')}") from error
