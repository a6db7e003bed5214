"""That something about a tenant has changed which its credentials depend on: said when the transaction is committed."""

from __future__ import annotations

import uuid

import asyncpg

CHANNEL = "jeex_tenant"


async def tell(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
    """It was suspended, renamed, deleted, purged, or the opposite of that, by the transaction at hand."""
    await driver.execute("SELECT pg_notify($1, $2)", CHANNEL, str(tenant_id))
