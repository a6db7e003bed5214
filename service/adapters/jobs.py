# ruff: noqa: S608 - what is put into these statements is our own
"""Rows of jobs as the API, jeex and the queue see them. Every statement names the tenant; what a job is given, and what its
lease is, never leaves through here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from service.adapters.database import Database
from service.adapters.kinds import JOB
from service.adapters.repository import Page, json_of
from service.models.job import PART

CHANNEL = "jeex_job"  # what is said when a job changes: tenant/job/status
CANCEL = "cancel"  # in place of a status: one that runs is asked to stop
_JSON = json_of(JOB.columns)
_OWN = "tenant_id = $1 AND id = $2"
_SAY = "pg_notify('jeex_job', $1::uuid || '/' || id || '/' || status)"
_SAY_CANCEL = _SAY.replace("|| status", f"|| CASE status WHEN 'running' THEN '{CANCEL}' ELSE status END")


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done. `args` is for the kind's own code; `unique_key` keeps a second one from being made meanwhile.

    `job_id` makes the job one that is made once and never again: the second one of that id is not made.
    """

    kind: str
    args: Mapping[str, object]
    unique_key: str | None = None
    max_attempts: int = 5
    run_at: datetime | None = None
    traceparent: str | None = None
    request_id: str | None = None
    job_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the API shows it: `json` is its body."""

    id: uuid.UUID
    status: str
    json: str


async def insert(driver: asyncpg.Connection, tenant_id: uuid.UUID, job: NewJob) -> JobRow | None:
    """The job, in the caller's transaction; None where there is one of its key that is not finished, or of its id."""
    found = await driver.fetchrow(
        "WITH made AS (INSERT INTO job "
        "(tenant_id, id, kind, args, unique_key, max_attempts, run_at, traceparent, request_id) "
        "VALUES ($1, coalesce($2, uuidv7()), $3, $4, $5, $6, coalesce($7, now()), $8, $9) "
        "ON CONFLICT DO NOTHING RETURNING *) "
        f"SELECT id, status, {_JSON}, {_SAY} FROM made",
        *(tenant_id, job.job_id, job.kind, json.dumps(job.args), job.unique_key, job.max_attempts, job.run_at),
        *(job.traceparent, job.request_id),
    )
    if found is None:
        return None
    # A statement of its own: of what another part of the same statement inserts, a foreign key sees nothing.
    await driver.execute(
        f"INSERT INTO job_due (tenant_id, job_id, run_at) SELECT tenant_id, id, run_at FROM job WHERE {_OWN}",
        *(tenant_id, found[0]),
    )
    return JobRow(found[0], found[1], found[2])


async def unfinished(driver: asyncpg.Connection, tenant_id: uuid.UUID, kind: str, unique_key: str) -> JobRow | None:
    """The one job of that kind and key that is not finished."""
    return _row(
        await driver.fetchrow(
            f"SELECT id, status, {_JSON} FROM job WHERE tenant_id = $1 AND kind = $2 AND unique_key = $3 "
            "AND status IN ('queued', 'running')",
            *(tenant_id, kind, unique_key),
        )
    )


async def get(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow | None:
    """The job of that id."""
    return _row(await driver.fetchrow(f"SELECT id, status, {_JSON} FROM job WHERE {_OWN}", tenant_id, job_id))


async def page(
    driver: asyncpg.Connection,
    tenant_id: uuid.UUID,
    *,
    limit: int,
    descending: bool,
    status: str | None = None,
    after: uuid.UUID | None = None,
) -> Page:
    """A page of jobs in the order of their ids, which is that in which they were made."""
    values: list[object] = [tenant_id]
    where = ["tenant_id = $1"]
    if status is not None:
        values.append(status)
        where.append(f"status = ${len(values)}")
    if after is not None:
        values.append(after)
        where.append(f"id {'<' if descending else '>'} ${len(values)}")
    values.append(limit + 1)
    found = await driver.fetch(
        f"SELECT id, {_JSON} FROM job WHERE {' AND '.join(where)} "
        f"ORDER BY id{' DESC' if descending else ''} LIMIT ${len(values)}",
        *values,
    )
    rows = found[:limit]
    return Page([row[1] for row in rows], (str(rows[-1][0]), rows[-1][0]) if len(found) > limit else None)


async def between(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, low: uuid.UUID, high: uuid.UUID, *, limit: int
) -> list[JobRow]:
    """Jobs whose ids are not below `low` and not above `high`."""
    found = await driver.fetch(
        f"SELECT id, status, {_JSON} FROM job WHERE tenant_id = $1 AND id BETWEEN $2 AND $3 ORDER BY id LIMIT $4",
        *(tenant_id, low, high, limit),
    )
    return [JobRow(*row) for row in found]


async def current(driver: asyncpg.Connection, tenant_id: uuid.UUID, *, limit: int) -> list[JobRow]:
    """The jobs that are not finished, oldest first."""
    found = await driver.fetch(
        f"SELECT id, status, {_JSON} FROM job WHERE tenant_id = $1 AND status IN ('queued', 'running') ORDER BY id LIMIT $2",
        *(tenant_id, limit),
    )
    return [JobRow(*row) for row in found]


async def some(driver: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> list[JobRow]:
    """The jobs of these ids that there are."""
    found = await driver.fetch(
        f"SELECT id, status, {_JSON} FROM job WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id",
        *(tenant_id, ids),
    )
    return [JobRow(*row) for row in found]


async def cancel(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow | None:
    """A waiting job is cancelled by this, a running one is asked to stop; None for one that is neither."""
    found = await driver.fetchrow(
        "WITH changed AS (UPDATE job SET cancel_requested = true, "
        "status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END, "
        "finished_at = CASE status WHEN 'queued' THEN now() END "
        f"WHERE {_OWN} AND status IN ('queued', 'running') RETURNING *), "
        "gone AS (DELETE FROM job_due WHERE tenant_id = $1 "
        "AND job_id IN (SELECT id FROM changed WHERE status = 'cancelled')) "
        f"SELECT id, status, {_JSON}, {_SAY_CANCEL} FROM changed",
        *(tenant_id, job_id),
    )
    return JobRow(found[0], found[1], found[2]) if found else None


async def retry(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobRow | None:
    """A dead or cancelled job from the beginning, with all of its attempts; None for one that is neither.

    Raises asyncpg.UniqueViolationError where another of its key is not finished.
    """
    found = await driver.fetchrow(
        "WITH changed AS (UPDATE job SET status = 'queued', attempts = 0, error = NULL, progress = NULL, message = '', "
        "cancel_requested = false, run_at = now(), started_at = NULL, finished_at = NULL "
        f"WHERE {_OWN} AND status IN ('dead', 'cancelled') RETURNING *), "
        "due AS (INSERT INTO job_due (tenant_id, job_id, run_at) SELECT tenant_id, id, run_at FROM changed) "
        f"SELECT id, status, {_JSON}, {_SAY} FROM changed",
        *(tenant_id, job_id),
    )
    return JobRow(found[0], found[1], found[2]) if found else None


async def result(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID) -> dict[str, object] | None:
    """What is known of a job's result: name, type and bytes."""
    found: dict[str, object] | None = await driver.fetchval(f"SELECT result FROM job WHERE {_OWN}", tenant_id, job_id)
    return found


async def add_part(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID, part: int, content: bytes) -> None:
    """One part of a result, PART bytes at most."""
    await driver.execute("INSERT INTO job_result VALUES ($1, $2, $3, $4)", tenant_id, job_id, part, content)


async def parts(database: Database, tenant_id: uuid.UUID, job_id: uuid.UUID) -> AsyncIterator[bytes]:
    """A result, part after part. No connection is held while one is sent."""
    number = 0
    while True:
        async with database.direct(tenant_id) as driver:
            content: bytes | None = await driver.fetchval(
                "SELECT bytes FROM job_result WHERE tenant_id = $1 AND job_id = $2 AND part = $3", tenant_id, job_id, number
            )
        if content is None:
            return
        yield content
        if len(content) < PART:
            return
        number += 1


def _row(found: asyncpg.Record | None) -> JobRow | None:
    return JobRow(found[0], found[1], found[2]) if found is not None else None
