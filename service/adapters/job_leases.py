# ruff: noqa: S608 - what is put into these statements is our own
"""Jobs as a worker sees them: taken with a lease, kept by prolonging it, finished once.

A lease is a random token in the job's row. Every statement of a worker finds the row by its token: one whose lease has run
out, and whose job was given to another, changes nothing any more.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from service.adapters.jobs import CHANNEL


@dataclass(frozen=True, slots=True)
class Leased:
    """A job that this worker runs. `attempt` counts from 1."""

    tenant_id: uuid.UUID
    tenant_slug: str
    id: uuid.UUID
    token: uuid.UUID
    kind: str
    args: Mapping[str, object]
    attempt: int
    max_attempts: int
    traceparent: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that is not to be run: what became of it ("" where nothing was changed), and why."""

    status: str
    reason: str


_HELD = "tenant_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'"
_DUE = "tenant_id = $1 AND job_id = $2"
# Losing this commit to a crash of PostgreSQL's costs an attempt: what is done is only written where the token is found.
_LAZY = "set_config('synchronous_commit', 'off', true)"


async def take(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID, attempts: int, *, lease: float
) -> Leased | Refused:
    """The job, when it is due and has had so many attempts; then it is this worker's for `lease` seconds."""
    found = await driver.fetchrow(
        "WITH whose AS (SELECT slug FROM tenant WHERE id = $1 AND status = 'active' AND deleted_at IS NULL), "
        "taken AS (UPDATE job SET status = 'running', attempts = attempts + 1, lease_token = gen_random_uuid(), "
        "lease_until = now() + make_interval(secs => $4), started_at = coalesce(started_at, now()) "
        "WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND attempts < max_attempts AND NOT cancel_requested "
        "AND (status = 'queued' AND run_at <= now() OR status = 'running' AND lease_until <= now()) "
        "AND EXISTS (SELECT FROM whose) RETURNING *), "
        "due AS (UPDATE job_due d SET stage = 'running', attempts = t.attempts, run_at = t.lease_until FROM taken t "
        "WHERE d.tenant_id = t.tenant_id AND d.job_id = t.id) "
        f"SELECT (SELECT slug FROM whose) AS slug, t.*, {_LAZY} FROM taken t",
        *(tenant_id, job_id, attempts, lease),
    )
    if found is None:
        return await _why_not(driver, tenant_id, job_id, attempts)
    return Leased(
        tenant_id,
        found["slug"],
        job_id,
        found["lease_token"],
        found["kind"],
        found["args"],
        found["attempts"],
        found["max_attempts"],
        found["traceparent"],
        found["request_id"],
    )


async def _why_not(driver: asyncpg.Connection, tenant_id: uuid.UUID, job_id: uuid.UUID, attempts: int) -> Refused:
    tenant = await driver.fetchrow("SELECT status, deleted_at FROM tenant WHERE id = $1", tenant_id)
    job = await driver.fetchrow(
        "SELECT status, attempts, max_attempts, cancel_requested, run_at <= now() AS due, lease_until <= now() AS lost "
        "FROM job WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        *(tenant_id, job_id),
    )
    if tenant is None or job is None or job["attempts"] != attempts:
        return Refused("", "there is no such job, or it has moved on")
    if not job["due" if job["status"] == "queued" else "lost"] or job["status"] not in ("queued", "running"):
        return Refused("", f"it is {job['status']}, and not due")
    if job["cancel_requested"]:
        status, reason = "cancelled", None
    elif tenant["deleted_at"] is not None or tenant["status"] != "active":
        status, reason = "cancelled", f"the tenant is {'deleted' if tenant['deleted_at'] else tenant['status']}"
    else:
        status, reason = "dead", "the worker that ran it was lost, as often as it may be tried"
    await driver.execute(
        "WITH gone AS (DELETE FROM job_due WHERE tenant_id = $1 AND job_id = $2) "
        "UPDATE job SET status = $3, error = $4, lease_token = NULL, lease_until = NULL, finished_at = now() "
        "WHERE tenant_id = $1 AND id = $2",
        *(tenant_id, job_id, status, reason),
    )
    return Refused(status, reason or "it was cancelled")


async def prolong(
    driver: asyncpg.Connection, job: Leased, *, lease: float, progress: int | None, message: str
) -> bool | None:
    """Hold the job for `lease` seconds from now. Whether it is asked to stop; None when it is no longer this worker's."""
    asked: bool | None = await driver.fetchval(
        "WITH held AS (UPDATE job SET lease_until = now() + make_interval(secs => $4), progress = $5, message = $6 "
        f"WHERE {_HELD} RETURNING cancel_requested, lease_until), "
        f"due AS (UPDATE job_due SET run_at = (SELECT lease_until FROM held) WHERE {_DUE} AND EXISTS (SELECT FROM held)) "
        f"SELECT cancel_requested FROM held, {_LAZY}",
        *(job.tenant_id, job.id, job.token, lease, progress, message),
    )
    return asked


async def finish(
    driver: asyncpg.Connection,
    job: Leased,
    status: str,
    *,
    message: str = "",
    error: str | None = None,
    result: Mapping[str, object] | None = None,
) -> bool:
    """The job is done, dead or cancelled; False, and nothing is changed, when it is no longer this worker's.

    One that was asked to stop is not done any more: whatever else this transaction has written must be undone.
    """
    found = await driver.fetchval(
        "WITH held AS (UPDATE job SET status = $4, message = $5, error = $6, result = $7, lease_token = NULL, "
        "lease_until = NULL, finished_at = clock_timestamp(), progress = CASE $4 WHEN 'done' THEN 100 ELSE progress END "
        f"WHERE {_HELD} AND NOT (cancel_requested AND $4 = 'done') RETURNING id), "
        f"gone AS (DELETE FROM job_due WHERE {_DUE} AND EXISTS (SELECT FROM held)) SELECT id FROM held",
        *(job.tenant_id, job.id, job.token, status, message[:500], error, json.dumps(result) if result else None),
    )
    return found is not None


async def put_back(
    driver: asyncpg.Connection, job: Leased, *, seconds: float, error: str | None, count: bool = True
) -> bool:
    """The job waits for another attempt, `seconds` from now. With `count` off, this attempt was none."""
    found = await driver.fetchval(
        "WITH held AS (UPDATE job SET status = 'queued', attempts = attempts - $6, error = $5, lease_token = NULL, "
        "lease_until = NULL, progress = NULL, run_at = clock_timestamp() + make_interval(secs => $4) "
        f"WHERE {_HELD} RETURNING id, attempts, run_at), "
        "due AS (UPDATE job_due d SET stage = 'waiting', attempts = h.attempts, run_at = h.run_at FROM held h "
        "WHERE d.tenant_id = $1 AND d.job_id = h.id) SELECT id FROM held",
        *(job.tenant_id, job.id, job.token, seconds, error, 0 if count else 1),
    )
    return found is not None


async def say(driver: asyncpg.Connection, changes: Sequence[str]) -> None:
    """Tell whoever listens which jobs have changed.

    Apart from the change itself: transactions that notify are committed one after the other.
    """
    await driver.execute("SELECT pg_notify($1, one) FROM unnest($2::text[]) AS one", CHANNEL, changes)
