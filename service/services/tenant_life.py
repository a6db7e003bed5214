"""What becomes of a tenant: renamed, suspended, deleted, restored, purged. In a transaction of the role jeex_admin.

Each of these tells every process of the API when it is committed, so that none goes on with what it remembers.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from service.adapters import tenant_news, tenant_rows
from service.adapters.database import bind_driver
from service.adapters.repository import ANY, Row
from service.core.errors import Conflict, NotFound
from service.services import tenants
from service.services.naming import valid_name, valid_slug


@dataclass(frozen=True, slots=True)
class Found:
    """A tenant, deleted or not."""

    id: uuid.UUID
    slug: str
    name: str
    status: str
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Size:
    """How much a tenant has: what holds, by kind; all rows of each table, and the bytes that their values are stored in."""

    counts: Mapping[str, int]
    rows: Mapping[str, int]
    bytes: Mapping[str, int]
    last_activity: datetime | None


async def find(driver: asyncpg.Connection, name: str) -> Found:
    """The tenant of that slug or id; of a slug that nobody has, the one that had it and is deleted.

    Raises NotFound (TENANT_UNKNOWN), Conflict (TENANT_AMBIGUOUS) where several deleted ones had it.
    """
    column: str
    value: str | uuid.UUID
    try:
        column, value = "id", uuid.UUID(name)
    except ValueError:
        column, value = "slug", name
    rows = await driver.fetch(
        f"SELECT id, slug, name, status, deleted_at FROM tenant WHERE {column} = $1 "  # noqa: S608
        "ORDER BY deleted_at DESC NULLS FIRST LIMIT 6",
        value,
    )
    found = [Found(*row) for row in rows]
    if not found:
        raise NotFound(f"there is no tenant named {name}", code="TENANT_UNKNOWN")
    if len(found) > 1 and found[0].deleted_at is not None:
        ids = ", ".join(f"{one.id} (deleted {one.deleted_at:%Y-%m-%d %H:%M})" for one in found)
        raise Conflict(
            f"several tenants named {name} were deleted: {ids}", code="TENANT_AMBIGUOUS", hint="give the id of one"
        )
    return found[0]


async def size(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> Size:
    """How much it has. Reads all of it: a second for some 100,000 documents."""
    await bind_driver(driver, tenant_id)
    counts, last = await tenant_rows.figures(driver, tenant_id)
    tables = await tenant_rows.counts(driver, tenant_id)
    return Size(counts, {name: one[0] for name, one in tables.items()}, {name: one[1] for name, one in tables.items()}, last)


async def change(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, versions: frozenset[int], values: Mapping[str, object]
) -> Row:
    """The tenant with another slug, name or status. Raises NotFound, PreconditionFailed, Conflict (SLUG_TAKEN)."""
    row = await tenants.rows(driver).update(tenant_id, versions, values)
    await tenant_news.tell(driver, tenant_id)
    return row


async def rename(driver: asyncpg.Connection, tenant_id: uuid.UUID, *, slug: str | None, name: str | None) -> None:
    """Another slug, another name, or both. Its keys hold on: they have its id in them. Raises InvalidInput, Conflict."""
    values: dict[str, object] = {}
    if slug is not None:
        values["slug"] = valid_slug(slug)
    if name is not None:
        values["name"] = valid_name(name)
    await change(driver, tenant_id, ANY, values)


async def delete(driver: asyncpg.Connection, tenant_id: uuid.UUID, versions: frozenset[int] = ANY) -> None:
    """Nobody of it gets in from now on. It can be restored until it is purged. Raises NotFound, PreconditionFailed."""
    await tenants.rows(driver).delete(tenant_id, versions)
    await tenant_news.tell(driver, tenant_id)


async def restore(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> Row:
    """It is as it was. Raises NotFound, Conflict where it is not deleted or its slug is another's by now."""
    row, _ = await tenants.rows(driver).restore(tenant_id)
    await tenant_news.tell(driver, tenant_id)
    return row


async def purge(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
    """A deleted tenant and everything of it is gone for good. Raises NotFound, Conflict (NOT_DELETED)."""
    await tenants.rows(driver).purge(tenant_id)
    await tenant_news.tell(driver, tenant_id)
    tenant_rows.outdated(tenant_id)
