"""What an export reads: a project and its documents, as they were at one moment."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

_ABOUT = "id, path, title, type, status, version, metadata, created_at, updated_at, content"


async def hold_still(driver: asyncpg.Connection) -> None:
    """Whatever this transaction reads from now on is of one moment. Before anything has been read."""
    await driver.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def project(driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID) -> dict[str, Any] | None:
    """The project, unless deleted."""
    found = await driver.fetchrow(
        "SELECT id, slug, name, description, status, metadata, created_at, updated_at FROM project "
        "WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
        *(tenant_id, project_id),
    )
    return dict(found) if found is not None else None


async def count(driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID) -> int:
    """How many documents it has."""
    return int(
        await driver.fetchval(
            "SELECT count(*) FROM document WHERE tenant_id = $1 AND project_id = $2 AND deleted_at IS NULL",
            *(tenant_id, project_id),
        )
    )


async def documents(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID, size: int
) -> AsyncIterator[list[dict[str, Any]]]:
    """Its documents by path, `size` at a time."""
    last = ""
    while True:
        found = await driver.fetch(
            f"SELECT {_ABOUT} FROM document WHERE tenant_id = $1 AND project_id = $2 AND deleted_at IS NULL "  # noqa: S608
            "AND path > $3 ORDER BY path LIMIT $4",
            *(tenant_id, project_id, last, size),
        )
        if not found:
            return
        yield [dict(row) for row in found]
        last = found[-1]["path"]
