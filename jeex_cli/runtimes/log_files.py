"""Reading logs that are files: the last lines of each, and what is added to them."""

from __future__ import annotations

import heapq
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jeex_cli.runtimes.base import Line

_CHUNK = 65_536
_POLL = 0.1  # seconds between looks at files that are followed

# How each server begins its lines. Structured lines carry their time in a field.
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z| UTC|\+00:00)?\b")
_VALKEY = re.compile(r"\d+:[A-Z] (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3})")


def read(files: Mapping[str, Path], *, tail: int, since: float | None) -> Iterator[Line]:
    """The last `tail` lines of each file (all where negative), in the order of time. `files` is by service."""
    streams = [
        [line for line in _last(name, path, tail) if since is None or line.at >= since] for name, path in files.items()
    ]
    return heapq.merge(*streams)


def follow(files: Mapping[str, Path], *, tail: int, since: float | None) -> Iterator[Line]:
    """`read`, then every new line as it comes, until the caller stops."""
    ends = {name: _End(path) for name, path in files.items()}
    yield from read(files, tail=tail, since=since)
    while True:
        fresh = [line for name, end in ends.items() for line in parsed(name, end.new_lines())]
        yield from sorted(fresh)
        if not fresh:
            time.sleep(_POLL)


@dataclass(slots=True)
class _End:
    """Where reading a growing file has come to; it may be replaced by a new one at any time."""

    path: Path
    inode: int = 0
    position: int = 0
    rest: bytes = b""

    def __post_init__(self) -> None:
        if self.path.exists():
            found = self.path.stat()
            self.inode, self.position = found.st_ino, found.st_size

    def new_lines(self) -> list[str]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return []
        if found.st_ino != self.inode or found.st_size < self.position:
            self.inode, self.position, self.rest = found.st_ino, 0, b""
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = self.rest + file.read()
            self.position = file.tell()
        *lines, self.rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def _last(service: str, path: Path, tail: int) -> list[Line]:
    if tail == 0:
        return []
    data = b""
    try:
        with path.open("rb") as file:
            position = file.seek(0, 2)
            while position > 0 and (tail < 0 or data.count(b"\n") <= tail):
                size = min(_CHUNK, position)
                position = file.seek(position - size)
                data = file.read(size) + data
    except FileNotFoundError:
        return []
    lines = data.decode(errors="replace").splitlines()
    return parsed(service, lines if tail < 0 else lines[-tail:])


def parsed(service: str, lines: list[str]) -> list[Line]:
    """Lines with their times, those that say none with that of the line before."""
    found: list[Line] = []
    at = 0.0
    for text in lines:
        if text:
            at = _time_of(text) or at  # a line of a traceback belongs to the one before it
            found.append(Line(at, service, text))
    return found


def _time_of(text: str) -> float | None:
    if text.startswith("{"):
        try:
            stamp = json.loads(text).get("timestamp")
        except ValueError:
            return None
        text = stamp if isinstance(stamp, str) else ""
    if found := _ISO.match(text):
        return datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00").timestamp()
    if found := _VALKEY.match(text):
        return datetime.strptime(found[1], "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    return None
