"""Logs that are files: the last entries of each, all of them, those that name something, and what is added to them.

Nothing but the entries that were asked for is held in memory.
"""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jeex_cli.log_entry import Entry, blocks, parse, starts
from jeex_cli.runtimes.asked import Asked
from jeex_cli.runtimes.whole_log import WholeLog, before, text

_POLL = 0.1  # seconds between looks at files that are followed
_APART = 256  # entries: a server with several processes writes hardly more of them out of order
_SLACK = 5.0  # seconds by which an entry may stand before an older one


@dataclass(frozen=True, slots=True)
class Source:
    """A service's log. It may be missing."""

    service: str
    path: Path


def read(sources: Sequence[Source], asked: Asked) -> Iterator[Entry]:
    """What was asked for, in the order of time."""
    if asked.tail is None:
        streams: Iterable[Iterable[Entry]] = [in_order(_all(one, asked)) for one in sources]
    else:
        streams = [sorted(_last(one, asked, asked.tail), key=_at) for one in sources]
    return heapq.merge(*streams, key=_at)


def follow(sources: Sequence[Source], asked: Asked) -> Iterator[Entry]:
    """`read`, then every new entry as it comes, until the caller stops."""
    ends = [_End(source) for source in sources]
    yield from read(sources, asked)
    while True:
        fresh = [entry for end in ends for entry in end.new() if asked.wants(entry)]
        yield from sorted(fresh, key=_at)
        if not fresh:
            time.sleep(_POLL)


def mentions(source: Source, what: str) -> Iterator[Entry]:
    """The entries in which `what` stands, oldest first. Bytes are searched; only what is found is read."""
    done = 0  # where the entry that was found last ends
    with WholeLog(source.path) as log:
        for place in log.places(what.encode()):
            if place >= done:
                block, done = log.block(place)
                yield parse(source.service, block)


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """`entries`, of which some may stand a little too late."""
    numbers = itertools.count()
    waiting: list[tuple[float, int, Entry]] = []
    for entry in entries:
        heapq.heappush(waiting, (entry.at, next(numbers), entry))
        if len(waiting) > _APART:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _all(source: Source, asked: Asked) -> Iterator[Entry]:
    at = 0.0
    with WholeLog(source.path) as log:
        for block in blocks(log.lines()):
            entry = parse(source.service, block, at=at)
            at = entry.at
            if asked.wants(entry) and (at or not log.begun_anew):
                yield entry


def _last(source: Source, asked: Asked, count: int) -> list[Entry]:
    """The last `count` entries that are wanted, oldest first. One that says no time has that of the one before it."""
    found: list[Entry] = []
    untimed = 0  # how many of the last in `found` wait for their time
    with WholeLog(source.path) as log:
        for block in _blocks_backwards(log.lines_backwards()):
            entry = parse(source.service, block)
            if entry.at and untimed:
                found[-untimed:] = [replace(one, at=entry.at) for one in found[-untimed:]]
                untimed = 0
            if len(found) >= count or (asked.since is not None and 0 < entry.at < asked.since - _SLACK):
                break
            if asked.wants(entry):
                found.append(entry)
                untimed = 0 if entry.at else untimed + 1
        else:
            if untimed and log.begun_anew:
                found.pop()
    found.reverse()
    return [one for one in found if asked.wants(one)]  # those whose time was not known yet, too


def _blocks_backwards(lines: Iterable[str]) -> Iterator[list[str]]:
    """The lines of each entry, the newest entry first."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if starts(line):
            yield block[::-1]
            block = []
    if block:
        yield block[::-1]


@dataclass(slots=True)
class _End:
    """Where reading a growing log has come to; it may be begun anew at any time."""

    source: Source
    inode: int = 0
    position: int = 0
    rest: bytes = b""
    at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        if self.source.path.exists():
            found = self.source.path.stat()
            self.inode, self.position = found.st_ino, found.st_size

    def new(self) -> list[Entry]:
        """The entries since the last look."""
        entries = []
        for block in blocks(self._lines()):
            entry = parse(self.source.service, block, at=self.at)
            self.at = entry.at
            entries.append(entry)
        return entries

    def _lines(self) -> list[str]:
        try:
            found = self.source.path.stat()
        except FileNotFoundError:
            return []
        if found.st_ino == self.inode and found.st_size == self.position:
            return []
        data = self.rest
        if found.st_ino != self.inode or found.st_size < self.position:
            # What was read begins the log before; what was not yet is its end, or goes on in the new one.
            length = _size(before(self.source.path))
            data += _from(before(self.source.path), self.position)
            self.position = max(0, self.position - length)
            self.inode = found.st_ino
        data += (added := _from(self.source.path, self.position))
        self.position += len(added)
        *lines, self.rest = data.split(b"\n")
        return [text(line) for line in lines if line]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position, os.SEEK_SET)
            return file.read()
    except FileNotFoundError:
        return b""


def _at(entry: Entry) -> float:
    return entry.at
