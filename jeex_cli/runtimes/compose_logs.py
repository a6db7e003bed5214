"""Logs of containers, in one time line. The engine puts the time before each line."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jeex_cli.runtimes.base import Line

if TYPE_CHECKING:
    from docker import DockerClient

_POLL = 0.3  # seconds between two looks at a service that does not run


def read(client: DockerClient, containers: Mapping[str, str], *, tail: int, since: float | None) -> Iterator[Line]:
    """The last `tail` lines of each container (all where negative), in the order of time. `containers` is ids by service."""
    return heapq.merge(*(_read(client, name, one, tail, since) for name, one in containers.items()))


def follow(
    client: DockerClient, current: Callable[[], Mapping[str, str]], *, tail: int, since: float | None
) -> Iterator[Line]:
    """`read`, then every new line as it comes, until the caller stops. `current` is the ids by service as they are then: a
    service that is stopped and started, or made anew, is followed on."""
    lines: queue.Queue[Line] = queue.Queue()
    found = current()
    begun = list(read(client, found, tail=tail, since=since))
    now = time.time()

    def pump(name: str) -> None:
        last = max((one.at for one in begun if one.service == name), default=now)
        while True:
            container = current().get(name)
            if container is not None:
                # Those of the last second once more: the engine counts in whole ones here.
                options = {"stream": True, "follow": True, "timestamps": True, "since": int(last), "tail": "all"}
                for text in client.api.logs(container, **options):
                    for line in _parsed(name, text):
                        if line.at > last:
                            last = line.at
                            lines.put(line)
            time.sleep(_POLL)  # it has ended

    for name in found:
        threading.Thread(target=pump, args=(name,), daemon=True).start()
    yield from begun
    while True:
        yield lines.get()


def last(client: DockerClient, container: str, count: int) -> str:
    """The last lines of a container, for an error message."""
    return str(client.api.logs(container, tail=count).decode(errors="replace")).strip()


def _read(client: DockerClient, name: str, container: str, tail: int, since: float | None) -> list[Line]:
    if tail == 0:
        return []
    options: dict[str, Any] = {"tail": "all" if tail < 0 else tail, "timestamps": True}
    if since is not None:
        options["since"] = int(since)
    found = sorted(_parsed(name, client.api.logs(container, **options)))
    return [line for line in found if since is None or line.at >= since]


def _parsed(name: str, data: bytes) -> list[Line]:
    lines = []
    for raw in data.decode(errors="replace").splitlines():
        stamp, _, text = raw.partition(" ")
        try:
            at = datetime.fromisoformat(stamp).timestamp()
        except ValueError:
            at, text = 0.0, raw
        if text:
            lines.append(Line(at, name, text))
    return lines
