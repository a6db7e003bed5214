"""What is done again and again: one job a tenant and period, however many workers there are.

The id of such a job is made of its kind and the period's beginning, so the second worker that comes to make it finds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from service.adapters import jobs, old_rows
from service.adapters.database import Database
from service.adapters.jobs import NewJob
from service.core.errors import Unavailable
from service.services import purge
from service.services.purge import Ages

_LOOK = 10.0  # seconds between two looks at most
_SPREAD = 0.1  # of a period: not everybody's at once


@dataclass(frozen=True, slots=True)
class Schedule:
    """A kind of job for every active tenant, each `every` seconds."""

    kind: str
    every: float


def job_of(schedule: Schedule, tenant_id: uuid.UUID, now: float) -> uuid.UUID:
    """The id of the job of the period that `now` (seconds since the epoch) lies in: a UUID of version 7, as any other."""
    began = int(now // schedule.every * schedule.every * 1000)
    noise = hashlib.sha256(f"{schedule.kind}|{tenant_id}|{began}".encode()).digest()[:10]
    number = began << 80 | int.from_bytes(noise)
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=number)


class Scheduler:
    """`database` is jeex_app's, `administration` jeex_admin's: it knows which tenants there are."""

    def __init__(
        self,
        database: Database,
        administration: Database,
        schedules: Sequence[Schedule],
        ages: Ages,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._administration = administration
        self._schedules = schedules
        self._ages = ages
        self._clock = clock
        self._made: dict[tuple[str, uuid.UUID], uuid.UUID] = {}  # the last one, so that not every look asks

    async def run(self) -> None:
        """Look, until cancelled."""
        shortest = min((one.every for one in self._schedules), default=_LOOK)
        while True:
            try:
                await self.look()
            except Unavailable as error:
                structlog.get_logger().warning("schedule.waits", code=error.code)
            await asyncio.sleep(min(_LOOK, shortest / 2))

    async def look(self) -> None:
        """Make what is due and not made. Raises Unavailable."""
        async with self._administration.direct() as driver:
            tenants = await old_rows.active_tenants(driver)
        for schedule in self._schedules:
            for tenant_id in tenants:
                await self._make(schedule, tenant_id)
        await purge.tenants(self._administration, self._ages)

    async def _make(self, schedule: Schedule, tenant_id: uuid.UUID) -> None:
        now = self._clock()
        job_id = job_of(schedule, tenant_id, now)
        if self._made.get((schedule.kind, tenant_id)) == job_id:
            return
        wait = random.uniform(0, min(300.0, schedule.every * _SPREAD))  # noqa: S311 - nothing is to be kept secret by it
        job = NewJob(
            schedule.kind,
            {},
            unique_key=schedule.kind,  # one that takes longer than its period is not overtaken by the next
            run_at=datetime.fromtimestamp(now, UTC) + timedelta(seconds=wait),
            job_id=job_id,
        )
        async with self._database.direct(tenant_id) as driver:
            await jobs.insert(driver, tenant_id, job)
        self._made[schedule.kind, tenant_id] = job_id
