"""Jobs of the tenants, through the service's own code and the role that administers tenants."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jeex_cli.errors import UsageError
from jeex_cli.ops import database
from jeex_cli.session import Session

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncSession

    from service.adapters.jobs import JobRow

STATUSES = ("queued", "running", "done", "dead", "cancelled")
_NAMED = 5  # how many of several possible ones an error names
_DIGITS = re.compile(r"[0-9a-f]{4,32}")

Change = Callable[["asyncpg.Connection", "UUID", "UUID"], Awaitable["JobRow"]]


def list_all(session: Session, slug: str | None, *, status: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` jobs, of one tenant or of all: each as the API has it, and `tenant`.

    Raises UsageError for what is no status, JeexError for an unknown tenant.
    """
    if status is not None and status not in STATUSES:
        raise UsageError(f"there is no status {status!r}", hint=f"one of {', '.join(STATUSES)}")

    async def work(one: AsyncSession) -> list[dict[str, Any]]:
        from service.adapters import jobs

        found = []
        for name, tenant_id, driver in await _tenants(one, slug):
            await _enter(one, tenant_id)
            page = await jobs.page(driver, tenant_id, limit=limit, descending=True, status=status)
            found += [_shown(name, item) for item in page.items]
        return sorted(found, key=lambda job: str(job["created_at"]), reverse=True)[:limit]

    return database.in_transaction(session, work)


def show(session: Session, slug: str | None, job_id: str) -> dict[str, Any]:
    """The one job whose id is, or begins with, `job_id`. Raises UsageError where several do, JeexError where none does."""

    async def work(one: AsyncSession) -> dict[str, Any]:
        return (await _one(one, slug, job_id))[0]

    return database.in_transaction(session, work, _HINTS)


def cancel(session: Session, slug: str | None, job_id: str) -> dict[str, Any]:
    """The job that `show` shows, cancelled if it waits, asked to stop if it runs. Raises JeexError where it is finished."""
    from service.services import jobs

    return _change(session, slug, job_id, jobs.cancel)


def retry(session: Session, slug: str | None, job_id: str) -> dict[str, Any]:
    """The job that `show` shows, from the beginning. Raises JeexError where it is neither dead nor cancelled."""
    from service.services import jobs

    return _change(session, slug, job_id, jobs.retry)


_HINTS = {"JOB_UNKNOWN": "jeex jobs list"}


def _change(session: Session, slug: str | None, job_id: str, change: Change) -> dict[str, Any]:
    async def work(one: AsyncSession) -> dict[str, Any]:
        from uuid import UUID

        found, tenant_id, driver = await _one(one, slug, job_id)
        row = await change(driver, tenant_id, UUID(found["id"]))
        return _shown(found["tenant"], row.json)

    return database.in_transaction(session, work, _HINTS)


async def _one(one: AsyncSession, slug: str | None, job_id: str) -> tuple[dict[str, Any], UUID, asyncpg.Connection]:
    """The job, its tenant, and a connection that is bound to that."""
    from service.adapters import jobs
    from service.core.errors import NotFound

    low, high = bounds(job_id)
    found = []
    for name, tenant_id, driver in await _tenants(one, slug):
        await _enter(one, tenant_id)
        rows = await jobs.between(driver, tenant_id, low, high, limit=_NAMED + 1)
        found += [(_shown(name, row.json), tenant_id, driver) for row in rows]
    if not found:
        raise NotFound(f"there is no job whose id is or begins with {job_id}", code="JOB_UNKNOWN")
    if len(found) > 1:
        lines = [f"{job['id']}  {job['tenant']}  {job['kind']}  {job['status']}" for job, *_ in found[:_NAMED]]
        raise UsageError(
            f"more than one job begins with {job_id}",
            code="JOB_AMBIGUOUS",
            detail="\n".join(lines + ["and more"] * (len(found) > _NAMED)),
            hint="give more of its digits, or the whole id",
        )
    await _enter(one, found[0][1])
    return found[0]


def bounds(job_id: str) -> tuple[UUID, UUID]:
    """The first and the last id that begins so. Raises UsageError for what no id begins with."""
    from uuid import UUID

    digits = job_id.lower().replace("-", "")
    if not _DIGITS.fullmatch(digits):
        raise UsageError(
            f"{job_id!r} is no id of a job", hint=shlex.join(["jeex", "jobs", "list"]) + "; 4 digits or more of one will do"
        )
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


async def _tenants(one: AsyncSession, slug: str | None) -> list[tuple[str, UUID, asyncpg.Connection]]:
    from service.adapters.database import driver_of
    from service.services import tenants

    found = [await tenants.enter(one, slug)] if slug is not None else await tenants.list_all(one)
    driver = await driver_of(one)
    return [(tenant.slug, tenant.id, driver) for tenant in found]


async def _enter(one: AsyncSession, tenant_id: UUID) -> None:
    from service.adapters.database import bind_tenant

    await bind_tenant(one, tenant_id)


def _shown(slug: str, text: str) -> dict[str, Any]:
    return {"tenant": slug, **json.loads(text)}
