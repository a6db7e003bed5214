"""Queries about API keys. Each says its tenant, although row security would see to it.

Columns instead of whole users: these also run while a schema is still to be migrated.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import ApiKey, User


@dataclass(frozen=True, slots=True)
class Holder:
    """A user as far as keys are concerned."""

    id: uuid.UUID
    email: str
    deleted: bool


async def lock_holder(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> datetime | None:
    """The database's time, if there is such a user, not deleted. Until the transaction ends nobody can purge that user."""
    query = (
        select(func.now())
        .select_from(User)
        .where(User.tenant_id == tenant_id, User.id == user_id, User.deleted_at.is_(None))
        .with_for_update(read=True, key_share=True)
    )
    now: datetime | None = await session.scalar(query)
    return now


async def holders(session: AsyncSession, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> Sequence[Holder]:
    """Those users, the deleted ones too."""
    query = _holders(tenant_id).where(User.id.in_(ids))
    return [Holder(row.id, row.email, row.deleted) for row in await session.execute(query)]


async def owners(session: AsyncSession, tenant_id: uuid.UUID) -> Sequence[Holder]:
    """The owners of a tenant, oldest first."""
    query = _holders(tenant_id).where(User.role == "owner", User.deleted_at.is_(None)).order_by(User.id)
    return [Holder(row.id, row.email, row.deleted) for row in await session.execute(query)]


async def by_email(session: AsyncSession, tenant_id: uuid.UUID, email: str) -> Holder | None:
    """The user of an address, whatever its case, unless deleted."""
    query = _holders(tenant_id).where(User.email_norm == func.lower(email), User.deleted_at.is_(None))
    found = (await session.execute(query)).one_or_none()
    return Holder(found.id, found.email, found.deleted) if found else None


async def page(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    *,
    user_id: uuid.UUID | None,
    include_revoked: bool,
    after: uuid.UUID | None,
    limit: int | None,
) -> Sequence[ApiKey]:
    """Keys behind the id `after`, oldest first; of one user or of all."""
    query = select(ApiKey).where(ApiKey.tenant_id == tenant_id).order_by(ApiKey.id).limit(limit)
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    if not include_revoked:
        query = query.where(ApiKey.revoked_at.is_(None))
    if after is not None:
        query = query.where(ApiKey.id > after)
    return (await session.scalars(query)).all()


async def between(
    session: AsyncSession, tenant_id: uuid.UUID, first: uuid.UUID, last: uuid.UUID, limit: int
) -> Sequence[ApiKey]:
    """Keys whose ids are in that range, its ends included, the revoked ones too. A prefix of an id is such a range."""
    query = (
        select(ApiKey).where(ApiKey.tenant_id == tenant_id, ApiKey.id.between(first, last)).order_by(ApiKey.id).limit(limit)
    )
    return (await session.scalars(query)).all()


async def revoke(session: AsyncSession, tenant_id: uuid.UUID, key_id: uuid.UUID, user_id: uuid.UUID | None) -> ApiKey | None:
    """The key, revoked now or earlier; None where there is none, or not of that user.

    One statement: of two at the same time, the second keeps the first one's moment.
    """
    statement = (
        update(ApiKey)
        .where(ApiKey.tenant_id == tenant_id, ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
        .returning(ApiKey)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if user_id is not None:
        statement = statement.where(ApiKey.user_id == user_id)
    revoked: ApiKey | None = (await session.scalars(statement)).one_or_none()
    return revoked


def _holders(tenant_id: uuid.UUID) -> Select[uuid.UUID, str, bool]:
    return select(User.id, User.email, User.deleted_at.is_not(None).label("deleted")).where(User.tenant_id == tenant_id)
