"""How the platform's parts are: each is asked at the same time, and none can hold up the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from service.core.errors import Unavailable

PATIENCE = 1.0  # seconds for a part to answer


@dataclass(frozen=True, slots=True)
class Seen:
    """What a part said: its version, and a remark."""

    version: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What this process holds for a time: seconds left (below 0 it has ended), and those that it held at first."""

    what: str
    left: float
    held: float


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask a part. `look` raises Unavailable; `vital` parts are those without which no request succeeds."""

    name: str
    look: Callable[[], Awaitable[Seen]]
    vital: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """One part: `latency_ms` is how long it took to answer, or to give it up; `version` is "" when it did not answer."""

    name: str
    status: Literal["up", "down"]
    version: str
    latency_ms: float
    detail: str


Overall = Literal["ok", "degraded", "down"]


class Report:
    """One look at every part for everybody who asks while it is under way: asking is free for whoever asks most."""

    def __init__(self, probes: Sequence[Probe], *, patience: float = PATIENCE) -> None:
        self._probes = tuple(probes)
        self._patience = patience
        self._running: asyncio.Task[tuple[Overall, list[Component]]] | None = None

    async def now(self) -> tuple[Overall, list[Component]]:
        """As `check`. One who stops waiting leaves the look to the others."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(check(self._probes, patience=self._patience))
        return await asyncio.shield(self._running)


async def check(probes: Sequence[Probe], *, patience: float = PATIENCE) -> tuple[Overall, list[Component]]:
    """Every part in the order given, and the sum: ok, degraded (something is down) or down (something vital is)."""
    components = list(await asyncio.gather(*(_ask(probe, patience) for probe in probes)))
    lost = {one.name for one in components if one.status == "down"}
    if any(probe.vital and probe.name in lost for probe in probes):
        return "down", components
    return ("degraded" if lost else "ok"), components


async def _ask(probe: Probe, patience: float) -> Component:
    started = time.perf_counter()
    seen = Seen("")
    status: Literal["up", "down"] = "down"
    try:
        async with asyncio.timeout(patience):
            seen = await probe.look()
        status = "up"
        detail = seen.detail
    except Unavailable as error:
        detail = error.message
    except TimeoutError:
        detail = f"no answer within {patience:g} s"
    return Component(probe.name, status, seen.version, round((time.perf_counter() - started) * 1000, 2), detail)
