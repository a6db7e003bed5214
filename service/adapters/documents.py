"""What happens to documents because of their project."""

from __future__ import annotations

import uuid
from datetime import datetime

import asyncpg

from service.adapters.freshness import touch

_CHANGED = "row_version = row_version + 1, updated_at = now()"


async def project_is_there(driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID) -> bool:
    """Whether there is such a project, not deleted; if so, it stays until the transaction ends."""
    found = await driver.fetchval(
        "SELECT 1 FROM project WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE", tenant_id, project_id
    )
    return found is not None


async def delete_with(driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID) -> None:
    """Mark the documents of a project as deleted at the same moment as it."""
    touch(tenant_id, "document")
    await driver.execute(
        f"UPDATE document SET deleted_at = now(), {_CHANGED} "  # noqa: S608
        "WHERE tenant_id = $1 AND project_id = $2 AND deleted_at IS NULL",
        tenant_id,
        project_id,
    )


async def restore_with(driver: asyncpg.Connection, tenant_id: uuid.UUID, project_id: uuid.UUID, when: datetime) -> None:
    """Restore those documents of a project that went with it; not those that were deleted before."""
    touch(tenant_id, "document")
    await driver.execute(
        f"UPDATE document SET deleted_at = NULL, {_CHANGED} "  # noqa: S608
        "WHERE tenant_id = $1 AND project_id = $2 AND deleted_at = $3",
        tenant_id,
        project_id,
        when,
    )


async def project_of(driver: asyncpg.Connection, tenant_id: uuid.UUID, document_id: uuid.UUID) -> uuid.UUID | None:
    """The project of a document, deleted or not; None when there is no such document."""
    found: uuid.UUID | None = await driver.fetchval(
        "SELECT project_id FROM document WHERE tenant_id = $1 AND id = $2", tenant_id, document_id
    )
    return found
