"""Tenant administration. Runs in a transaction of the role jeex_admin; whoever opened it commits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from service.adapters import tenants
from service.adapters.database import bind_tenant
from service.adapters.failures import violated
from service.adapters.kinds import TENANT
from service.adapters.repository import Repository, Statements
from service.core.errors import Conflict, NotFound
from service.core.settings import Secret
from service.models import Tenant, User
from service.services import keys
from service.services.keys import KeyView
from service.services.naming import valid_email as valid_email  # noqa: PLC0414 - the API takes it from here
from service.services.naming import valid_name, valid_slug

_FIRST_KEY = "first key"


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant, as the administration sees it."""

    id: uuid.UUID
    slug: str
    name: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserView:
    """A user of a tenant."""

    id: uuid.UUID
    email: str
    display_name: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What was made. `key` is the only copy of the owner's API key: only its hash is stored."""

    tenant: TenantView
    owner: UserView
    key: Secret


@dataclass(frozen=True, slots=True)
class TenantDetail:
    """A tenant with its users and keys, oldest first."""

    tenant: TenantView
    users: tuple[UserView, ...]
    keys: tuple[KeyView, ...]


_STATEMENTS = Statements(TENANT)


def rows(driver: asyncpg.Connection) -> Repository:
    """Every tenant, over a connection of the administration's role."""
    return Repository(_STATEMENTS, driver, None)


async def create(session: AsyncSession, *, slug: str, admin_email: str, name: str | None = None) -> NewTenant:
    """A tenant, its first user (role owner) and an API key of that user. `name` is the slug in words by default.

    Raises InvalidInput (field slug, name or email), Conflict (code SLUG_TAKEN).
    """
    slug, email = valid_slug(slug), valid_email(admin_email)
    tenant = Tenant(slug=slug, name=valid_name(slug.replace("-", " ").title() if name is None else name))
    session.add(tenant)
    try:
        await session.flush()
    except IntegrityError as error:
        if violated(error) == "uq_tenant_slug":
            raise Conflict(
                f"there is a tenant named {slug} already", field="slug", code="SLUG_TAKEN", hint="choose another slug"
            ) from error
        raise
    await bind_tenant(session, tenant.id)
    owner = User(tenant_id=tenant.id, email=email, display_name=email.partition("@")[0], role="owner")
    session.add(owner)
    await session.flush()
    key = await keys.create(session, tenant_id=tenant.id, user_id=owner.id, name=_FIRST_KEY, expires_at=None)
    return NewTenant(_tenant(tenant), _user(owner), key.secret)


async def list_all(session: AsyncSession) -> list[TenantView]:
    """Every tenant, by slug."""
    return [_tenant(one) for one in await tenants.everyone(session)]


async def enter(session: AsyncSession, slug: str) -> TenantView:
    """The tenant of that slug; the rest of the transaction is bound to it. Raises NotFound (code TENANT_UNKNOWN)."""
    tenant = await tenants.by_slug(session, slug)
    if tenant is None:
        raise NotFound(f"there is no tenant named {slug}", code="TENANT_UNKNOWN")
    await bind_tenant(session, tenant.id)
    return _tenant(tenant)


async def show(session: AsyncSession, slug: str) -> TenantDetail:
    """One tenant with its users and keys. Raises NotFound (code TENANT_UNKNOWN)."""
    tenant = await enter(session, slug)
    return TenantDetail(
        tenant,
        tuple(_user(one) for one in await tenants.users(session, tenant.id)),
        tuple(await keys.list_keys(session, tenant_id=tenant.id, include_revoked=True, limit=None)),
    )


def _tenant(row: Tenant) -> TenantView:
    return TenantView(row.id, row.slug, row.name, row.status, row.created_at)


def _user(row: User) -> UserView:
    return UserView(row.id, row.email, row.display_name, row.role, row.created_at)
