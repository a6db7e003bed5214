"""Runs jobs: takes one with a lease, prolongs that while the job's code works, and finishes it in one transaction.

Nothing that a job does to the database is done by one that has lost its lease: what it writes is committed together with
"done", and that finds the lease or changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from service.adapters import job_leases
from service.adapters.database import Database
from service.adapters.due_jobs import Due
from service.adapters.job_leases import Leased, Refused
from service.core import logs
from service.core.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
    JobCancelled,
    NotFound,
    Unavailable,
)
from service.services.job_kinds import Finish, Job, JobKind

_HOPELESS = (Conflict, Forbidden, InvalidInput, NotFound)  # what comes of them will come of the next attempt, too
_WAIT = 2.0  # seconds that a message waits for room before it is left to others
_TELL = 1.0  # seconds between two reports of progress


@dataclass(frozen=True, slots=True)
class Limits:
    """`slots` jobs at a time. A lease holds `lease` seconds; a job that failed waits `backoff` seconds and more, up to
    `longest`."""

    slots: int = 8
    lease: float = 30.0
    backoff: float = 2.0
    longest: float = 600.0


class _LeaseLost(Exception):
    """The job is somebody else's by now."""


class JobRunner:
    """`changed` is told tenant, job and status of every change."""

    def __init__(
        self, database: Database, kinds: Mapping[str, JobKind], limits: Limits, changed: Callable[[str], None]
    ) -> None:
        self._database = database
        self._kinds = kinds
        self._limits = limits
        self._changed = changed
        self._room = asyncio.Semaphore(limits.slots)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[uuid.UUID, Job] = {}
        self._ending = False

    @property
    def free(self) -> int:
        """How many more jobs it could begin now."""
        return self._limits.slots - len(self._tasks)

    async def accept(self, message: Due) -> None:
        """Begin the job of a message, and return. Left alone where there is no room, or the job is not due."""
        try:
            async with asyncio.timeout(_WAIT):
                await self._room.acquire()
        except TimeoutError:
            return
        if self._ending:
            self._room.release()
            return
        task = asyncio.create_task(self._one(message))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def heard(self, job_id: uuid.UUID) -> None:
        """Somebody asks a job to stop: look at its row, if it runs here."""
        if (job := self._running.get(job_id)) is not None:
            job.told.set()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, wait for what runs, and put back what takes longer than `seconds`."""
        self._ending = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        self._changed("")
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("job.crashed", exc_info=error)

    async def _one(self, message: Due) -> None:
        structlog.contextvars.clear_contextvars()
        log = structlog.get_logger()
        try:
            async with self._database.direct(message.tenant_id) as driver:
                taken = await job_leases.take(
                    driver, message.tenant_id, message.job_id, message.attempts, lease=self._limits.lease
                )
        except DatabaseUnavailable as error:
            log.warning("job.not_taken", job_id=str(message.job_id), code=error.code)  # its row is still due
            return
        if isinstance(taken, Refused):
            if taken.status:
                self._say(message, taken.status)
            log.info("job.refused", job_id=str(message.job_id), status=taken.status or None, reason=taken.reason)
            return
        structlog.contextvars.bind_contextvars(**_context(taken))
        self._say(message, "running")
        started = asyncio.get_running_loop().time()
        try:
            status = await self._attempt(taken)
        except asyncio.CancelledError:
            await self._give_back(taken)
            raise
        except _LeaseLost:
            log.warning("job.lease_lost", kind=taken.kind, attempt=taken.attempt)
            return
        except DatabaseUnavailable as error:  # its lease runs out, and another attempt begins
            log.warning("job.not_finished", kind=taken.kind, attempt=taken.attempt, code=error.code)
            return
        ms = round((asyncio.get_running_loop().time() - started) * 1000, 2)
        log.info("job.ended", kind=taken.kind, status=status, attempt=taken.attempt, ms=ms)
        self._say(message, status)

    async def _attempt(self, leased: Leased) -> str:
        """Run the job once; what became of it."""
        kind = self._kinds.get(leased.kind)
        if kind is None:
            return await self._failed(leased, Unavailable(f"this worker does not know how to do {leased.kind}"))
        job = Job(leased.tenant_id, leased.tenant_slug, leased.id, leased.args, leased.attempt, self._database)
        self._running[leased.id] = job
        try:
            async with asyncio.TaskGroup() as group:
                holding = group.create_task(self._hold(leased, job))
                try:
                    async with asyncio.timeout(kind.timeout) as limit:
                        done = await kind.code(job) or Finish()
                except TimeoutError as error:
                    if not limit.expired():
                        raise
                    raise TimeoutError(f"it took longer than {kind.timeout:g} s") from error
                finally:
                    holding.cancel()
            return await self._done(leased, done)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its own failure, and is written down
            return await self._failed(leased, _first(error))
        finally:
            self._running.pop(leased.id, None)

    async def _hold(self, leased: Leased, job: Job) -> None:
        """Prolong the lease in time, and tell how far the job is. Raises _LeaseLost, JobCancelled."""
        every = self._limits.lease / 3
        while True:
            try:
                async with asyncio.timeout(every):
                    await job.told.wait()
                    await asyncio.sleep(min(_TELL, every))
            except TimeoutError:
                pass
            job.told.clear()
            try:
                async with self._database.direct(leased.tenant_id) as driver:
                    asked = await job_leases.prolong(
                        driver, leased, lease=self._limits.lease, progress=job.percent, message=job.message
                    )
            except DatabaseUnavailable:
                continue  # until the lease has run out there is time for another
            if asked is None:
                raise _LeaseLost
            self._changed(f"{leased.tenant_id}/{leased.id}/running")
            if asked and not job.stopping:
                job.stopping = True
                # A moment to stop by itself, at its next `progress` or `check`; then it is stopped wherever it is.
            elif asked:
                raise JobCancelled("it was cancelled")

    async def _done(self, leased: Leased, done: Finish) -> str:
        """What is to be written and the job's end, in one transaction."""
        async with self._database.direct(leased.tenant_id) as driver:
            if not await job_leases.finish(driver, leased, "done", message=done.message, result=done.result):
                asked = await job_leases.prolong(driver, leased, lease=self._limits.lease, progress=None, message="")
                raise JobCancelled("it was cancelled") if asked else _LeaseLost
            if done.write is not None:
                await done.write(driver)
        return "done"

    async def _failed(self, leased: Leased, error: BaseException) -> str:
        if isinstance(error, _LeaseLost | asyncio.CancelledError | KeyboardInterrupt | SystemExit):
            raise error
        if isinstance(error, JobCancelled):
            return await self._end(leased, "cancelled")
        reason = _readable(error)
        if isinstance(error, Unavailable):
            structlog.get_logger().warning("job.failed", kind=leased.kind, attempt=leased.attempt, reason=reason)
        else:
            structlog.get_logger().warning("job.failed", kind=leased.kind, attempt=leased.attempt, exc_info=error)
        if leased.attempt >= leased.max_attempts or isinstance(error, _HOPELESS):
            return await self._end(leased, "dead", error=reason)
        # Full jitter: what failed together does not come back together.
        most = min(self._limits.longest, self._limits.backoff * 2**leased.attempt)
        async with self._database.direct(leased.tenant_id) as driver:
            seconds = random.uniform(0, most)  # noqa: S311 - nothing is to be kept secret by it
            if not await job_leases.put_back(driver, leased, seconds=seconds, error=reason):
                raise _LeaseLost
        return "queued"

    async def _end(self, leased: Leased, status: str, error: str | None = None) -> str:
        async with self._database.direct(leased.tenant_id) as driver:
            if not await job_leases.finish(driver, leased, status, error=error):
                raise _LeaseLost
        return status

    async def _give_back(self, leased: Leased) -> None:
        """This process ends before the job does: another begins it anew, and this attempt was none."""
        try:
            async with self._database.direct(leased.tenant_id) as driver:
                await job_leases.put_back(driver, leased, seconds=0, error=None, count=False)
        except DatabaseUnavailable:
            return  # its lease runs out
        self._changed(f"{leased.tenant_id}/{leased.id}/queued")

    def _say(self, message: Due, status: str) -> None:
        self._changed(f"{message.tenant_id}/{message.job_id}/{status}")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _context(job: Leased) -> dict[str, str]:
    """What every line that is logged meanwhile has: the trace of the request that the job is for."""
    found = {"job_id": str(job.id), "tenant": job.tenant_slug}
    if job.request_id:
        found["request_id"] = job.request_id
    if job.traceparent and len(parts := job.traceparent.split("-")) > 2:
        found["trace_id"] = parts[1]
    return found


def _readable(error: BaseException) -> str:
    """What failed, in a line or some, without what looks like a secret."""
    text = getattr(error, "message", None) or str(error)
    if not isinstance(error, TimeoutError) and not hasattr(error, "message"):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return logs.redact_text(text.replace("\0", ""))[:2000]
