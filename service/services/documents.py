"""Documents: what may be done to them. Whoever opened the transaction commits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import asyncpg

from service.adapters import documents
from service.adapters.kinds import DOCUMENT
from service.adapters.repository import Repository, Row, Statements
from service.core.errors import Conflict, NotFound
from service.services.authentication import Principal

_STATEMENTS = Statements(DOCUMENT)
# What makes a new edition of a document, when it changes.
_EDITED = ("path", "title", "type", "content")


def rows(driver: asyncpg.Connection, caller: Principal) -> Repository:
    """The documents of the caller's tenant."""
    return Repository(_STATEMENTS, driver, caller.tenant_id)


async def create(driver: asyncpg.Connection, caller: Principal, values: Mapping[str, object]) -> Row:
    """A new document, made by the caller. Raises NotFound (PROJECT_UNKNOWN), Conflict (PATH_TAKEN), InvalidInput."""
    project_id = values["project_id"]
    if not isinstance(project_id, uuid.UUID) or not await documents.project_is_there(driver, caller.tenant_id, project_id):
        raise NotFound("there is no project of that id", code="PROJECT_UNKNOWN")
    return await rows(driver, caller).insert({**values, "created_by": caller.user_id})


async def update(
    driver: asyncpg.Connection,
    caller: Principal,
    document_id: uuid.UUID,
    versions: frozenset[int],
    values: Mapping[str, object],
) -> Row:
    """The document as it is then, a new edition where its text changed.

    Raises NotFound, PreconditionFailed, Conflict (PATH_TAKEN), InvalidInput.
    """
    edited = [name for name in _EDITED if name in values]
    before, after = ", ".join(edited), ", ".join(f"{{{name}}}" for name in edited)
    also = f"version = version + (ROW({before}) IS DISTINCT FROM ROW({after}))::int" if edited else ""
    return await rows(driver, caller).update(document_id, versions, values, also=also)


async def delete(driver: asyncpg.Connection, caller: Principal, document_id: uuid.UUID, versions: frozenset[int]) -> None:
    """Delete a document; it can be restored. Raises NotFound, PreconditionFailed."""
    await rows(driver, caller).delete(document_id, versions)


async def restore(driver: asyncpg.Connection, caller: Principal, document_id: uuid.UUID) -> Row:
    """A deleted document. Raises NotFound, Conflict (also when its project is deleted: that comes first)."""
    project_id = await documents.project_of(driver, caller.tenant_id, document_id)
    if project_id is not None and not await documents.project_is_there(driver, caller.tenant_id, project_id):
        raise Conflict("its project is deleted", code="PROJECT_DELETED", hint=f"restore the project {project_id} first")
    row, _ = await rows(driver, caller).restore(document_id)
    return row


async def purge(driver: asyncpg.Connection, caller: Principal, document_id: uuid.UUID) -> None:
    """Remove a deleted document for good. Raises NotFound, Conflict when it is not deleted."""
    await rows(driver, caller).purge(document_id)
