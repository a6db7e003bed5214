"""What is stored of those who call: API keys, users, passwords. Asked by the driver, in the caller's own transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import asyncpg

_KEY = """
SELECT k.secret_hash, k.expires_at, k.revoked_at, k.last_used_at, k.user_id, u.role, t.slug, t.status
  FROM api_key k
  JOIN app_user u ON u.tenant_id = k.tenant_id AND u.id = k.user_id AND u.deleted_at IS NULL
  JOIN tenant t ON t.id = k.tenant_id AND t.deleted_at IS NULL
 WHERE k.tenant_id = $1 AND k.id = $2
"""
# Not a row that another request is just marking: nobody waits for a remark.
_MARK = """
UPDATE api_key SET last_used_at = now() WHERE tenant_id = $1 AND id = (
  SELECT id FROM api_key WHERE tenant_id = $1 AND id = $2 FOR UPDATE SKIP LOCKED)
"""
_USER = """
SELECT u.id, u.role, t.slug, t.status, u.password_hash
  FROM app_user u JOIN tenant t ON t.id = u.tenant_id AND t.deleted_at IS NULL
 WHERE u.tenant_id = $1 AND u.deleted_at IS NULL
"""
_IDENTITY = """
SELECT t.id, t.slug, t.name, u.id, u.email, u.display_name, u.role
  FROM app_user u JOIN tenant t ON t.id = u.tenant_id
 WHERE u.tenant_id = $1 AND u.id = $2
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what its user may do; neither the user nor the tenant is deleted."""

    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    user_id: uuid.UUID
    role: str
    tenant_slug: str
    tenant_status: str


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user who is not deleted, of a tenant that is not; `password_hash` is None for one who signs in by key alone."""

    user_id: uuid.UUID
    role: str
    tenant_slug: str
    tenant_status: str
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller in words."""

    tenant_id: uuid.UUID
    tenant_slug: str
    tenant_name: str
    user_id: uuid.UUID
    email: str
    display_name: str
    role: str


async def key(driver: asyncpg.Connection, tenant_id: uuid.UUID, key_id: uuid.UUID) -> StoredKey | None:
    """One key by its whole primary key."""
    found = await driver.fetchrow(_KEY, tenant_id, key_id)
    return StoredKey(*found) if found else None


async def mark_used(driver: asyncpg.Connection, tenant_id: uuid.UUID, key_id: uuid.UUID) -> None:
    """Remember that a key was used now."""
    await driver.execute(_MARK, tenant_id, key_id)


async def user(driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID) -> StoredUser | None:
    """One user by id."""
    found = await driver.fetchrow(f"{_USER} AND u.id = $2", tenant_id, user_id)
    return StoredUser(*found) if found else None


async def user_by_email(driver: asyncpg.Connection, tenant_id: uuid.UUID, email: str) -> StoredUser | None:
    """One user by address, whatever its case."""
    found = await driver.fetchrow(f"{_USER} AND u.email_norm = $2", tenant_id, email.lower())
    return StoredUser(*found) if found else None


async def identity(driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID) -> Identity | None:
    """Who that user is."""
    found = await driver.fetchrow(_IDENTITY, tenant_id, user_id)
    return Identity(*found) if found else None


async def tenant_id_of(driver: asyncpg.Connection, slug: str) -> uuid.UUID | None:
    """The tenant of a slug, unless deleted. For the administration's role: another sees only the tenant it is bound to."""
    found: uuid.UUID | None = await driver.fetchval("SELECT id FROM tenant WHERE slug = $1 AND deleted_at IS NULL", slug)
    return found


async def set_password(driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID, password_hash: str) -> None:
    """Replace the hash of a user's password."""
    await driver.execute(
        "UPDATE app_user SET password_hash = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, user_id, password_hash
    )
