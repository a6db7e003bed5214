"""Tenant administration. Runs in a transaction of the role jeex_admin; whoever opened it commits."""

from __future__ import annotations

import re
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
from service.core.errors import Conflict, InvalidInput, NotFound
from service.core.settings import Secret
from service.models import ApiKey, Tenant, User
from service.services import authentication

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
# What browsers accept as an address, plus RFC 5321's lengths: enough to notice mistakes. Only a message proves one.
_EMAIL = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
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
class KeyView:
    """An API key, without what makes it one."""

    id: uuid.UUID
    user_id: uuid.UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


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
    secret = authentication.new_secret()
    key = ApiKey(tenant_id=tenant.id, user_id=owner.id, name=_FIRST_KEY, secret_hash=authentication.digest(secret))
    session.add(key)
    await session.flush()
    return NewTenant(_tenant(tenant), _user(owner), authentication.compose(tenant.id, key.id, secret))


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
        tuple(_key(one) for one in await tenants.keys(session, tenant.id)),
    )


def valid_slug(slug: str) -> str:
    """`slug`, if it is one. Raises InvalidInput."""
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(
            "a slug has 3 to 40 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen",
            field="slug",
            hint="for example: acme, or acme-west-2",
        )
    return slug


def valid_email(email: str) -> str:
    """`email` without blanks around it, if it looks like an address. Raises InvalidInput."""
    email = email.strip()
    local = email.partition("@")[0]
    if len(email) > 254 or not _EMAIL.fullmatch(email) or ".." in local or local.startswith(".") or local.endswith("."):
        raise InvalidInput("this is not an e-mail address", field="email", hint="for example: alice@acme.example")
    return email


def valid_name(name: str) -> str:
    """`name` without blanks around it, if people can read it. Raises InvalidInput."""
    name = name.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidInput("a name has 1 to 200 printable characters", field="name")
    return name


def _tenant(row: Tenant) -> TenantView:
    return TenantView(row.id, row.slug, row.name, row.status, row.created_at)


def _user(row: User) -> UserView:
    return UserView(row.id, row.email, row.display_name, row.role, row.created_at)


def _key(row: ApiKey) -> KeyView:
    return KeyView(row.id, row.user_id, row.name, row.created_at, row.expires_at, row.revoked_at, row.last_used_at)
