"""Queries about tenants, their users and keys. Each says its tenant, although row security would see to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import ApiKey, Tenant, User


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the user and the tenant it belongs to, none of them deleted."""

    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    user_id: uuid.UUID
    email: str
    display_name: str
    role: str
    tenant_slug: str
    tenant_name: str
    tenant_status: str


async def everyone(session: AsyncSession) -> Sequence[Tenant]:
    """Every tenant that is not deleted, by slug. For the administration's role; another sees only the bound one."""
    return (await session.scalars(select(Tenant).where(Tenant.deleted_at.is_(None)).order_by(Tenant.slug))).all()


async def by_slug(session: AsyncSession, slug: str) -> Tenant | None:
    """The tenant of that slug, unless deleted."""
    found: Tenant | None = await session.scalar(select(Tenant).where(Tenant.slug == slug, Tenant.deleted_at.is_(None)))
    return found


async def users(session: AsyncSession, tenant_id: uuid.UUID) -> Sequence[User]:
    """The users of a tenant, oldest first, unless deleted."""
    query = select(User).where(User.tenant_id == tenant_id, User.deleted_at.is_(None)).order_by(User.id)
    return (await session.scalars(query)).all()


async def keys(session: AsyncSession, tenant_id: uuid.UUID) -> Sequence[ApiKey]:
    """The API keys of a tenant, oldest first, the revoked ones too."""
    return (await session.scalars(select(ApiKey).where(ApiKey.tenant_id == tenant_id).order_by(ApiKey.id))).all()


async def key(session: AsyncSession, tenant_id: uuid.UUID, key_id: uuid.UUID) -> StoredKey | None:
    """One key by its whole primary key."""
    query = (
        select(
            ApiKey.secret_hash,
            ApiKey.expires_at,
            ApiKey.revoked_at,
            User.id,
            User.email,
            User.display_name,
            User.role,
            Tenant.slug,
            Tenant.name,
            Tenant.status,
        )
        .join(User, (User.tenant_id == ApiKey.tenant_id) & (User.id == ApiKey.user_id))
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .where(ApiKey.tenant_id == tenant_id, ApiKey.id == key_id, User.deleted_at.is_(None), Tenant.deleted_at.is_(None))
    )
    found = (await session.execute(query)).one_or_none()
    return StoredKey(*tuple(found)) if found else None
