"""What was deleted long enough ago is removed for good. Each batch is a transaction: to be interrupted costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from service.adapters import old_rows
from service.adapters.database import Database
from service.services.job_kinds import Finish, Job

_WORDS = {"document": "documents", "project": "projects", "app_user": "users"}


@dataclass(frozen=True, slots=True)
class Ages:
    """How old a deleted row, and a finished job, may become. In seconds, None for ever."""

    deleted: float | None
    jobs: float | None


async def run(job: Job, ages: Ages) -> Finish:
    """Purge what one tenant has."""
    done: dict[str, int] = {}
    if ages.deleted is not None:
        for place, table in enumerate(old_rows.DELETED):
            job.progress(place * 25, f"{_WORDS[table]}")
            number = old_rows.BATCH
            while number == old_rows.BATCH:
                async with job.database.direct(job.tenant_id) as driver:
                    number = await old_rows.purge_deleted(driver, job.tenant_id, table, ages.deleted)
                done[_WORDS[table]] = done.get(_WORDS[table], 0) + number
                job.check()
    if ages.jobs is not None:
        number = old_rows.BATCH
        while number == old_rows.BATCH:
            async with job.database.direct(job.tenant_id) as driver:
                number = await old_rows.forget_jobs(driver, job.tenant_id, ages.jobs)
            done["jobs"] = done.get("jobs", 0) + number
            job.check()
    told = ", ".join(f"{number} {words}" for words, number in done.items() if number)
    return Finish(f"purged {told}" if told else "there was nothing to purge")


async def tenants(administration: Database, ages: Ages) -> None:
    """Purge the tenants that were deleted long enough ago. Safe to run in several processes at once."""
    if ages.deleted is None:
        return
    async with administration.direct() as driver:
        found = await old_rows.deleted_tenants(driver, ages.deleted)
    for tenant_id in found:
        number = old_rows.BATCH
        while number:  # one statement for all of it could take longer than a statement may
            async with administration.direct(tenant_id) as driver:
                there = await old_rows.is_deleted(driver, tenant_id, ages.deleted)
                number = await old_rows.empty_tenant(driver, tenant_id) if there else 0
        async with administration.direct(tenant_id) as driver:
            if await old_rows.purge_tenant(driver, tenant_id, ages.deleted):
                structlog.get_logger().info("tenant.purged", tenant_id=str(tenant_id))
