"""Server-sent events about jobs: those that are not finished, then every change, for as long as the credential holds."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator

from starlette.requests import Request

from service.adapters import jobs
from service.adapters.jobs import JobRow
from service.api.dependencies import Parts, held_until, presented, proved
from service.core.errors import ServiceError, Unavailable
from service.services.authentication import Principal
from service.services.job_feed import Watcher

STILL = 15.0  # seconds between two lines that keep the connection, and two looks at the credential
_SLICE = 1.0  # seconds after which it notices that the process is about to end
_FIRST = 500  # jobs that are not finished, at most
_UNFINISHED = ("queued", "running")


async def events(request: Request, parts: Parts, caller: Principal, watcher: Watcher) -> AsyncIterator[bytes]:
    """The stream's text, until the credential ends, the process is to end, or the reader is too far behind."""
    stream = _Stream(parts, caller)
    ends = await held_until(request, parts)
    yield b"retry: 2000\n\n"
    for text in await stream.look():
        yield text
    still, forgotten = time.monotonic() + STILL, parts.recent.forgotten
    while not parts.draining.started and not watcher.behind:
        left = min(_SLICE, still - time.monotonic(), (ends - time.time()) if ends is not None else STILL)
        for text in stream.told(await watcher.changes(max(0.0, left))):
            yield text
        if ends is not None and time.time() >= ends:
            return
        if not parts.feed.hears:
            for text in await stream.look():
                yield text
        if time.monotonic() >= still or forgotten != parts.recent.forgotten:
            forgotten = parts.recent.forgotten
            still = time.monotonic() + STILL
            yield b": still here\n\n"
            try:
                await _still(request, parts)
                for text in await stream.look():  # what was not heard
                    yield text
            except Unavailable:
                continue
            except ServiceError:
                return


class _Stream:
    """What one reader has been told: every job that it knows as unfinished, as it was then."""

    def __init__(self, parts: Parts, caller: Principal) -> None:
        self._parts = parts
        self._tenant = caller.tenant_id
        self._known: dict[uuid.UUID, str] = {}

    def told(self, rows: list[JobRow]) -> list[bytes]:
        """An event for each that the reader does not know so."""
        changed = [one for one in rows if self._known.get(one.id) != one.json]
        for one in changed:
            if one.status in _UNFINISHED:
                self._known[one.id] = one.json
            else:
                self._known.pop(one.id, None)
        return [f"event: job\nid: {one.id}\ndata: {one.json}\n\n".encode() for one in changed]

    async def look(self) -> list[bytes]:
        """What is not finished, or was not when the reader was told last. Raises DatabaseUnavailable."""
        async with self._parts.database.direct(self._tenant) as driver:
            rows = await jobs.current(driver, self._tenant, limit=_FIRST)
            if missing := [one for one in self._known if one not in {row.id for row in rows}]:
                rows += await jobs.some(driver, self._tenant, missing)
        return self.told(rows)


async def _still(request: Request, parts: Parts) -> None:
    """Raises Unauthenticated, Forbidden where the credential has ended meanwhile."""
    who = await presented(request, parts)
    async with parts.database.direct(who.tenant_id) as driver:
        await proved(request, parts, who, driver)
