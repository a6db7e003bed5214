"""The owners of a tenant, of whom there must be one."""

from __future__ import annotations

import uuid

import asyncpg


async def locked(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> frozenset[uuid.UUID]:
    """Who the owners are. They stay so until the transaction ends.

    In one order and before any other user is locked: two who remove each other wait instead of ending in a deadlock.
    """
    rows = await driver.fetch(
        "SELECT id FROM app_user WHERE tenant_id = $1 AND role = 'owner' AND deleted_at IS NULL ORDER BY id FOR UPDATE",
        tenant_id,
    )
    return frozenset(row["id"] for row in rows)


async def role_of(driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID) -> str | None:
    """The role of a user, deleted or not; it stays so until the transaction ends."""
    found: str | None = await driver.fetchval(
        "SELECT role FROM app_user WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant_id, user_id
    )
    return found
