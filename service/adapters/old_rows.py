"""Rows that nobody will ask for again, removed for good, some at a time."""

from __future__ import annotations

import uuid

import asyncpg

BATCH = 500
# What was deleted softly, in the order that leaves the least to cascades.
DELETED = ("document", "project", "app_user")


async def purge_deleted(driver: asyncpg.Connection, tenant_id: uuid.UUID, table: str, seconds: float) -> int:
    """Rows of one of DELETED that were deleted `seconds` ago and longer, BATCH at most; how many."""
    if table not in DELETED:
        raise ValueError(table)
    done = await driver.execute(
        f"DELETE FROM {table} WHERE tenant_id = $1 AND id IN (SELECT id FROM {table} WHERE tenant_id = $1 "  # noqa: S608
        "AND deleted_at IS NOT NULL AND deleted_at <= now() - make_interval(secs => $2) "
        "ORDER BY deleted_at LIMIT $3 FOR UPDATE SKIP LOCKED)",
        *(tenant_id, seconds, BATCH),
    )
    return _number(done)


async def forget_jobs(driver: asyncpg.Connection, tenant_id: uuid.UUID, seconds: float) -> int:
    """Jobs that finished `seconds` ago and longer, with their results, BATCH at most; how many."""
    done = await driver.execute(
        "DELETE FROM job WHERE tenant_id = $1 AND id IN (SELECT id FROM job WHERE tenant_id = $1 "
        "AND finished_at IS NOT NULL AND finished_at <= now() - make_interval(secs => $2) ORDER BY finished_at LIMIT $3)",
        *(tenant_id, seconds, BATCH),
    )
    return _number(done)


async def deleted_tenants(driver: asyncpg.Connection, seconds: float) -> list[uuid.UUID]:
    """Tenants that were deleted `seconds` ago and longer. For the administration's role."""
    found = await driver.fetch(
        "SELECT id FROM tenant WHERE deleted_at IS NOT NULL AND deleted_at <= now() - make_interval(secs => $1) "
        "ORDER BY deleted_at LIMIT $2",
        *(seconds, BATCH),
    )
    return [row["id"] for row in found]


async def empty_tenant(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> int:
    """Documents of a tenant, deleted or not, BATCH at most; how many. In a transaction that is bound to it."""
    done = await driver.execute(
        "DELETE FROM document WHERE tenant_id = $1 AND id IN (SELECT id FROM document WHERE tenant_id = $1 LIMIT $2)",
        *(tenant_id, BATCH),
    )
    return _number(done)


async def purge_tenant(driver: asyncpg.Connection, tenant_id: uuid.UUID, seconds: float) -> bool:
    """The tenant and all that is left of it, if it still is one that was deleted so long ago."""
    done = await driver.execute(
        "DELETE FROM tenant WHERE id = $1 AND deleted_at <= now() - make_interval(secs => $2)", tenant_id, seconds
    )
    return str(done) == "DELETE 1"


async def is_deleted(driver: asyncpg.Connection, tenant_id: uuid.UUID, seconds: float) -> bool:
    """Whether the tenant was deleted `seconds` ago or longer; it stays so until the transaction ends."""
    found = await driver.fetchval(
        "SELECT 1 FROM tenant WHERE id = $1 AND deleted_at <= now() - make_interval(secs => $2) FOR UPDATE",
        tenant_id,
        seconds,
    )
    return found is not None


async def active_tenants(driver: asyncpg.Connection) -> list[uuid.UUID]:
    """Every tenant that has work done for it. For the administration's role."""
    found = await driver.fetch("SELECT id FROM tenant WHERE status = 'active' AND deleted_at IS NULL ORDER BY id")
    return [row["id"] for row in found]


def _number(done: str) -> int:
    return int(done.rpartition(" ")[2])
