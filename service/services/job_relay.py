"""Moves what is due to workers, and tells everybody which jobs have changed.

The relay looks when it hears that something was enqueued or finished, when the next job is due, and every second. Whatever
was sent and not taken is due again after a while, so the transport may lose all it has.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.adapters import due_jobs, job_leases
from service.adapters.database import Database
from service.adapters.due_jobs import Depth
from service.adapters.jobs import CANCEL
from service.adapters.transport import Transport
from service.core.errors import DatabaseUnavailable, Unavailable
from service.services.job_runner import JobRunner

_EVERY = 1.0  # seconds between two looks when nothing is heard
_BREATH = 0.005  # seconds in which what is heard is gathered
_COUNT = 2.0  # seconds between two looks at how long the queue is
_CHANGES = 500  # in one message


@dataclass(frozen=True, slots=True)
class Pace:
    """A tenant has `per_tenant` jobs with workers at most; what nobody took within `again` seconds is sent again."""

    per_tenant: int = 4
    again: float = 15.0


class Changes:
    """Which jobs have changed, gathered and told at once. `woken` is set by each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: list[str] = []
        self._there = asyncio.Event()
        self.woken = asyncio.Event()

    def add(self, change: str) -> None:
        """`tenant/job/status`; "" where there is nothing to tell and still room for another job."""
        if change:
            self._gathered.append(change)
            self._there.set()
        self.woken.set()

    async def tell(self) -> None:
        """Tell, until cancelled. What cannot be told is lost: whoever listens looks for itself now and then."""
        while True:
            await self._there.wait()
            await asyncio.sleep(_BREATH * 4)
            await self.flush()

    async def flush(self) -> None:
        """Tell what is gathered."""
        told, self._gathered = list(dict.fromkeys(self._gathered)), []
        self._there.clear()
        try:
            for place in range(0, len(told), _CHANGES):
                async with self._database.direct() as driver:
                    await job_leases.say(driver, told[place : place + _CHANGES])
        except DatabaseUnavailable as error:
            structlog.get_logger().warning("queue.not_told", code=error.code)


class JobRelay:
    """`administration` is jeex_admin's: it sees what is due of every tenant. `counted` is told how long the queue is."""

    def __init__(
        self,
        administration: Database,
        transport: Transport,
        runner: JobRunner,
        changes: Changes,
        pace: Pace,
        *,
        slots: int,
        counted: Callable[[Depth], None],
    ) -> None:
        self._administration = administration
        self._transport = transport
        self._runner = runner
        self._changes = changes
        self._pace = pace
        self._slots = slots
        self._counted = counted
        self._lost = False

    def lost(self) -> None:
        """What was sent may not arrive: send it again."""
        self._lost = True
        self._changes.woken.set()

    def heard(self, change: str) -> None:
        """A job has changed, here or elsewhere: `tenant/job/status`."""
        _, job_id, status = change.split("/")
        if status == CANCEL:
            self._runner.heard(uuid.UUID(job_id))
        elif status != "running":
            self._changes.woken.set()

    async def run(self) -> None:
        """Look and send, until cancelled."""
        log, away = structlog.get_logger(), False
        counted = 0.0
        wait = 0.0
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._changes.woken.wait()
                await asyncio.sleep(_BREATH)
            except TimeoutError:
                pass
            self._changes.woken.clear()
            wait = _EVERY
            try:
                more = await self._send()
                if time.monotonic() - counted > _COUNT:
                    counted = time.monotonic()
                    async with self._administration.direct() as driver:
                        self._counted(await due_jobs.depth(driver))
                if not more:
                    async with self._administration.direct() as driver:
                        wait = min(_EVERY, max(_BREATH, await due_jobs.next_in(driver) or _EVERY))
            except Unavailable as error:
                if not away:
                    log.warning("queue.waits", code=error.code, reason=error.message)
                away = True
            except Exception:
                log.exception("queue.crashed")  # a mistake of ours must not end it: jobs would wait for ever
            else:
                if away:
                    log.info("queue.goes_on")
                away = False

    async def _send(self) -> bool:
        """Send what is due and finds room; whether it was anything."""
        if self._lost:
            async with self._administration.direct() as driver:
                again = await due_jobs.send_again(driver)
            self._lost = False
            if again:
                structlog.get_logger().info("queue.sent_again", jobs=again)
        room = self._runner.free
        if room <= 0:
            return False
        async with self._administration.direct() as driver:
            due = await due_jobs.choose(
                driver, per_tenant=self._pace.per_tenant, again=self._pace.again, limit=room + self._slots
            )
        if due:
            await self._transport.send(due)
        return bool(due)
