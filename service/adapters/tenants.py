"""Queries about tenants and their users. Each says its tenant, although row security would see to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Tenant, User


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
