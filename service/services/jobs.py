"""Jobs: enqueued in the caller's transaction, looked at, cancelled, tried again. Whoever opened the transaction commits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import asyncpg

from service.adapters import jobs
from service.adapters.jobs import JobRow, NewJob
from service.core.errors import Conflict, NotFound

EXPORT, PURGE, WARM = "project.export", "purge", "cache.warm"
STATUSES = ("queued", "running", "done", "dead", "cancelled")
_UNKNOWN = "there is no job of that id"


class Queue(Protocol):
    """Where work is left that outlives a request."""

    async def enqueue(
        self,
        driver: asyncpg.Connection,
        tenant_id: uuid.UUID,
        kind: str,
        args: Mapping[str, object],
        *,
        unique_key: str | None = None,
        run_at: datetime | None = None,
        traceparent: str | None = None,
        request_id: str | None = None,
    ) -> JobRow:
        """The job, made by the caller's transaction: both or neither.

        With `unique_key` the one of that kind and key that is not finished, where there is one. It begins at `run_at`, or at
        once. `traceparent` and `request_id` are of the request that it is for.
        """


class PostgresQueue:
    """The queue of the platform: a row, which a worker finds."""

    async def enqueue(
        self,
        driver: asyncpg.Connection,
        tenant_id: uuid.UUID,
        kind: str,
        args: Mapping[str, object],
        *,
        unique_key: str | None = None,
        run_at: datetime | None = None,
        traceparent: str | None = None,
        request_id: str | None = None,
    ) -> JobRow:
        """See Queue."""
        job = NewJob(kind, args, unique_key, run_at=run_at, traceparent=traceparent, request_id=request_id)
        while True:  # the one that is in the way may finish between two looks
            made = await jobs.insert(driver, tenant_id, job)
            if made is None and unique_key is not None:
                made = await jobs.unfinished(driver, tenant_id, kind, unique_key)
            if made is not None:
                return made


@dataclass(slots=True)
class LocalQueue:
    """A queue that only remembers, for those who enqueue: what they left stands in `left`."""

    left: list[tuple[uuid.UUID, NewJob]] = field(default_factory=list)

    async def enqueue(
        self,
        driver: asyncpg.Connection,
        tenant_id: uuid.UUID,
        kind: str,
        args: Mapping[str, object],
        *,
        unique_key: str | None = None,
        run_at: datetime | None = None,
        traceparent: str | None = None,
        request_id: str | None = None,
    ) -> JobRow:
        """See Queue. Nothing is ever finished here."""
        for whose, known in self.left:
            if unique_key and (whose, known.kind, known.unique_key) == (tenant_id, kind, unique_key) and known.job_id:
                return JobRow(known.job_id, "queued", "{}")
        job = NewJob(kind, args, unique_key, run_at=run_at, traceparent=traceparent, request_id=request_id)
        job = replace(job, job_id=uuid.uuid4())
        self.left.append((tenant_id, job))
        assert job.job_id is not None  # noqa: S101 - as was just said
        return JobRow(job.job_id, "queued", "{}")


async def get(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow:
    """The job of that id. Raises NotFound."""
    found = await jobs.get(driver, tenant_id, job_id)
    if found is None:
        raise NotFound(_UNKNOWN, code="JOB_UNKNOWN")
    return found


async def cancel(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow:
    """A job that waits is cancelled, one that runs is asked to stop. Raises NotFound, Conflict where it is finished."""
    changed = await jobs.cancel(driver, tenant_id, job_id)
    if changed is not None:
        return changed
    found = await get(driver, tenant_id, job_id)
    raise Conflict(f"this job is {found.status} already", code="JOB_FINISHED")


async def retry(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow:
    """A dead or cancelled job from the beginning. Raises NotFound, Conflict where it is neither or another does the same."""
    try:
        changed = await jobs.retry(driver, tenant_id, job_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(
            "another job does the same already", code="JOB_IN_PLACE", hint="wait until that one is finished"
        ) from error
    if changed is not None:
        return changed
    found = await get(driver, tenant_id, job_id)
    raise Conflict(f"this job is {found.status}: only a dead or cancelled one is tried again", code="JOB_NOT_DEAD")
