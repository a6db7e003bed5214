"""Changes of jobs as they happen, for whoever watches: one connection of this process listens, and tells them apart."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from service.adapters import jobs, listening
from service.adapters.database import Database
from service.adapters.jobs import JobRow
from service.core.errors import DatabaseUnavailable, TooManyRequests

_GATHER = 0.05  # seconds in which changes are gathered: a busy queue is read some times a second, not for each
_AT_ONCE = 200  # jobs in one query
_HELD = 2000  # jobs that one who reads slowly may be behind


class Watcher:
    """One who watches the jobs of a tenant. Of a job that changes twice before it is read, the latest is kept."""

    def __init__(self) -> None:
        self._changed: dict[uuid.UUID, JobRow] = {}
        self._there = asyncio.Event()
        self.behind = False  # more has changed than it is told

    def tell(self, job: JobRow) -> None:
        """The job is so now."""
        self.behind = self.behind or len(self._changed) >= _HELD
        if not self.behind:
            self._changed[job.id] = job
        self._there.set()

    async def changes(self, seconds: float) -> list[JobRow]:
        """What has changed, as soon as something has; nothing after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._there.wait()
        except TimeoutError:
            return []
        self._there.clear()
        found, self._changed = list(self._changed.values()), {}
        return found


class JobFeed:
    """`database` answers what has changed, `ear` listens: a pool of one connection, used while somebody watches.

    `per_tenant` may watch at a time. Without `ear` nothing is heard, and watchers look for themselves.
    """

    def __init__(self, database: Database, ear: Database | None, *, per_tenant: int = 10) -> None:
        self._database = database
        self._ear = ear
        self._per_tenant = per_tenant
        self._watchers: dict[uuid.UUID, set[Watcher]] = {}
        self._changed: dict[uuid.UUID, set[uuid.UUID]] = {}
        self._there = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def hears(self) -> bool:
        """Whether changes are told by themselves."""
        return self._ear is not None

    @contextmanager
    def watching(self, tenant_id: uuid.UUID) -> Iterator[Watcher]:
        """Watch that tenant's jobs. Raises TooManyRequests (STREAMS_LIMITED)."""
        watchers = self._watchers.setdefault(tenant_id, set())
        if len(watchers) >= self._per_tenant:
            raise TooManyRequests(
                f"{self._per_tenant} streams of this tenant are open already", retry_after=5, code="STREAMS_LIMITED"
            )
        one = Watcher()
        watchers.add(one)
        self._begin()
        try:
            yield one
        finally:
            watchers.discard(one)
            if not watchers and self._watchers.get(tenant_id) is watchers:
                del self._watchers[tenant_id]
            if not self._watchers:
                self._end()

    def _begin(self) -> None:
        if self._ear is None or self._tasks:
            return
        self._tasks = [
            asyncio.create_task(listening.listen(self._ear, jobs.CHANNEL, self._heard)),
            asyncio.create_task(self._pass_on()),
        ]

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _heard(self, change: str) -> None:
        tenant, job, _ = change.split("/")
        tenant_id = uuid.UUID(tenant)
        if tenant_id in self._watchers:
            self._changed.setdefault(tenant_id, set()).add(uuid.UUID(job))
            self._there.set()

    async def _pass_on(self) -> None:
        while True:
            await self._there.wait()
            await asyncio.sleep(_GATHER)
            self._there.clear()
            changed, self._changed = self._changed, {}
            for tenant_id, ids in changed.items():
                ordered = sorted(ids)
                for place in range(0, len(ordered), _AT_ONCE):
                    await self._tell(tenant_id, ordered[place : place + _AT_ONCE])

    async def _tell(self, tenant_id: uuid.UUID, ids: list[uuid.UUID]) -> None:
        try:
            async with self._database.direct(tenant_id) as driver:
                rows = await jobs.some(driver, tenant_id, ids)
        except DatabaseUnavailable as error:  # whoever watches looks for itself now and then
            structlog.get_logger().warning("jobs.not_passed_on", code=error.code)
            return
        for row in rows:
            for one in self._watchers.get(tenant_id, ()):
                one.tell(row)
