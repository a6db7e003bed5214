"""Logs of containers, in one time line. The engine puts the time before each line."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jeex_cli.log_entry import Entry, blocks, parse
from jeex_cli.runtimes.asked import Asked, everything
from jeex_cli.runtimes.log_files import in_order

if TYPE_CHECKING:
    from docker import DockerClient

_POLL = 0.3  # seconds between two looks at a service that does not run
_SILENCE = 0.05  # seconds after which an entry has no further line
_BATCH = 1000  # lines that are waited for at most


def read(client: DockerClient, containers: Mapping[str, str], asked: Asked, own: Iterable[Entry] = ()) -> Iterator[Entry]:
    """What was asked for, in the order of time. `containers` is ids by service, `own` what jeex itself has logged."""
    streams = [_read(client, name, one, asked) for name, one in containers.items()]
    return heapq.merge(*streams, own, key=lambda entry: entry.at)


def follow(
    client: DockerClient,
    current: Callable[[], Mapping[str, str]],
    asked: Asked,
    own: Callable[[], Iterator[Entry]] | None = None,
) -> Iterator[Entry]:
    """`read`, then every new entry as it comes, until the caller stops. `current` is the ids by service as they are then: a
    service that is stopped and started, or made anew, is followed on. `own` follows what jeex itself logs."""
    lines: queue.Queue[tuple[str, bytes] | Entry] = queue.Queue()
    found = current()
    now = time.time()

    def pump(name: str) -> None:
        last = now
        while True:
            container = current().get(name)
            if container is not None:
                # Those of the last second once more: the engine counts in whole ones here.
                options = {"stream": True, "follow": True, "timestamps": True, "since": int(last), "tail": "all"}
                for raw in _whole_lines(client.api.logs(container, **options)):
                    stamp = _split(raw)[0]
                    if stamp > last or not stamp:
                        last = stamp or last
                        lines.put((name, raw))
            time.sleep(_POLL)  # it has ended

    def pump_own(stream: Iterator[Entry]) -> None:
        for entry in stream:
            lines.put(entry)

    begun = [one for one in read(client, found, asked) if one.at <= now]
    for name in found:
        threading.Thread(target=pump, args=(name,), daemon=True).start()
    if own is not None:
        threading.Thread(target=pump_own, args=(own(),), daemon=True).start()
    yield from begun
    while True:
        yield from sorted(_together(lines, asked), key=lambda entry: entry.at)


def _together(lines: queue.Queue[tuple[str, bytes] | Entry], asked: Asked) -> Iterator[Entry]:
    """What comes next, once there is a moment's silence: the lines of one entry come one by one."""
    gathered = [lines.get()]
    with suppress(queue.Empty):
        while len(gathered) < _BATCH:
            gathered.append(lines.get(timeout=_SILENCE))
    by_service: dict[str, list[bytes]] = {}
    for one in gathered:
        if isinstance(one, Entry):
            yield one
        else:
            by_service.setdefault(one[0], []).append(one[1])
    for name, found in by_service.items():
        yield from (entry for entry in _entries(name, found) if asked.wants(entry))


def mentions(client: DockerClient, name: str, container: str, what: str) -> Iterator[Entry]:
    """The entries of a container in which `what` stands, oldest first."""
    for stamp, block in _blocks(_stream(client, container, {"tail": "all"})):
        if any(what in line for line in block):
            yield parse(name, block, at=stamp)


def last(client: DockerClient, container: str, count: int) -> str:
    """The last lines of a container, for an error message."""
    return str(client.api.logs(container, tail=count).decode(errors="replace")).strip()


def _read(client: DockerClient, name: str, container: str, asked: Asked) -> Iterable[Entry]:
    if asked.tail == 0:
        return []
    options: dict[str, Any] = {}
    if asked.since is not None:
        options["since"] = int(asked.since)
    unfiltered = asked.wanted is everything and asked.until is None
    # An entry has a line or more: the engine counts lines, so the last so many hold what is wanted.
    options["tail"] = asked.tail * 10 if asked.tail is not None and unfiltered else "all"
    found = (one for one in _entries(name, _stream(client, container, options)) if asked.wants(one))
    if asked.tail is None:
        return in_order(found)
    return sorted(deque(found, maxlen=asked.tail), key=lambda entry: entry.at)


def _stream(client: DockerClient, container: str, options: Mapping[str, Any]) -> Iterator[bytes]:
    """The lines of a container, each with its time before it. Nothing but a piece of them is held in memory."""
    return _whole_lines(client.api.logs(container, timestamps=True, stream=True, follow=False, **options))


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _entries(name: str, lines: Iterable[bytes]) -> Iterator[Entry]:
    for stamp, block in _blocks(lines):
        yield parse(name, block, at=stamp)


def _blocks(lines: Iterable[bytes]) -> Iterator[tuple[float, list[str]]]:
    """The lines of each entry, with the time that the engine gave its first."""
    stamps: deque[float] = deque()

    def plain() -> Iterator[str]:
        for raw in lines:
            stamp, line = _split(raw)
            if line:
                stamps.append(stamp)
                yield line

    for block in blocks(plain()):
        yield stamps[0], block
        while len(stamps) > 1:  # the last is that of the entry that begins
            stamps.popleft()


def _split(raw: bytes) -> tuple[float, str]:
    """The engine's time of a line (0 where it gave none), and the line."""
    stamp, _, line = raw.decode(errors="replace").rstrip("\r").partition(" ")
    try:
        return datetime.fromisoformat(stamp).timestamp(), line
    except ValueError:
        return 0.0, f"{stamp} {line}".strip()
