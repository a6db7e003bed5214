"""Projects: what may be done to them, and what becomes of their documents. Whoever opened the transaction commits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import asyncpg

from service.adapters import documents
from service.adapters.kinds import PROJECT
from service.adapters.repository import Repository, Row, Statements
from service.services.authentication import Principal

_STATEMENTS = Statements(PROJECT)


def rows(driver: asyncpg.Connection, caller: Principal) -> Repository:
    """The projects of the caller's tenant."""
    return Repository(_STATEMENTS, driver, caller.tenant_id)


async def create(driver: asyncpg.Connection, caller: Principal, values: Mapping[str, object]) -> Row:
    """A new project, made by the caller. Raises Conflict (SLUG_TAKEN), InvalidInput."""
    return await rows(driver, caller).insert({**values, "created_by": caller.user_id})


async def update(
    driver: asyncpg.Connection,
    caller: Principal,
    project_id: uuid.UUID,
    versions: frozenset[int],
    values: Mapping[str, object],
) -> Row:
    """The project as it is then. Raises NotFound, PreconditionFailed, Conflict, InvalidInput."""
    return await rows(driver, caller).update(project_id, versions, values)


async def delete(driver: asyncpg.Connection, caller: Principal, project_id: uuid.UUID, versions: frozenset[int]) -> None:
    """Delete a project and its documents, all of which can be restored. Raises NotFound, PreconditionFailed."""
    await rows(driver, caller).delete(project_id, versions)
    await documents.delete_with(driver, caller.tenant_id, project_id)


async def restore(driver: asyncpg.Connection, caller: Principal, project_id: uuid.UUID) -> Row:
    """A deleted project with the documents that went with it. Raises NotFound, Conflict."""
    row, when = await rows(driver, caller).restore(project_id)
    await documents.restore_with(driver, caller.tenant_id, project_id, when)
    return row


async def purge(driver: asyncpg.Connection, caller: Principal, project_id: uuid.UUID) -> None:
    """Remove a deleted project and its documents for good. Raises NotFound, Conflict when it is not deleted."""
    await rows(driver, caller).purge(project_id)
