"""API keys of a tenant, through the service's own code and the role that administers tenants."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from jeex_cli.errors import UsageError
from jeex_cli.ops import database, timespan
from jeex_cli.session import Session

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from service.adapters.keys import Holder
    from service.services.keys import KeyView

T = TypeVar("T")

_NAMED = 5  # how many of several possible ones an error names


def create(session: Session, slug: str, *, user: str | None, name: str | None, expires_in: str | None) -> dict[str, Any]:
    """A key of the user with that address, or of the tenant's only owner: the key as `list_all` has it, and `key` itself.

    That is its only copy. Raises UsageError for what breaks a rule or does not say whose, JeexError for what is unknown.
    """
    from service.services import keys

    now = datetime.now(UTC)
    ends = None if expires_in is None else expiry(expires_in, now)

    async def work(one: AsyncSession, tenant_id: UUID) -> dict[str, Any]:
        if user is None:
            holder = _only(slug, await keys.owners(one, tenant_id=tenant_id))
        else:
            holder = await keys.holder(one, tenant_id=tenant_id, email=user)
        called = f"jeex {now:%Y-%m-%d}" if name is None else name
        made = await keys.create(one, tenant_id=tenant_id, user_id=holder.id, name=called, expires_at=ends)
        return {**_shown(made.view, holder, now), "key": made.secret.reveal()}

    return _in_tenant(session, slug, work)


def list_all(session: Session, slug: str, *, include_revoked: bool) -> list[dict[str, Any]]:
    """The tenant's keys, oldest first: each with its user's address, and its state in one word or two."""
    from service.services import keys

    async def work(one: AsyncSession, tenant_id: UUID) -> list[dict[str, Any]]:
        found = await keys.list_keys(one, tenant_id=tenant_id, include_revoked=include_revoked, limit=None)
        return await _described(one, tenant_id, found)

    return _in_tenant(session, slug, work)


def find(session: Session, slug: str, key_id: str) -> dict[str, Any]:
    """The one key whose id is, or begins with, `key_id`. Raises UsageError where several do, JeexError where none does."""

    async def work(one: AsyncSession, tenant_id: UUID) -> dict[str, Any]:
        return await _one(one, slug, tenant_id, key_id)

    return _in_tenant(session, slug, work)


def revoke(session: Session, slug: str, key_id: str) -> dict[str, Any]:
    """The key that `find` finds, refused from now on. `changed` is False for one that was revoked before."""
    from service.services import keys

    async def work(one: AsyncSession, tenant_id: UUID) -> dict[str, Any]:
        found = await _one(one, slug, tenant_id, key_id)
        view = await keys.revoke(one, tenant_id=tenant_id, key_id=found["id"])
        return {**found, "revoked_at": view.revoked_at, "state": "revoked", "changed": found["revoked_at"] is None}

    return _in_tenant(session, slug, work)


def expiry(text: str, now: datetime) -> datetime:
    """When a key ends that is to hold for `text`, such as 30d. Raises UsageError."""
    span = timespan.parse(text)
    try:
        if span:
            return now + span
    except OverflowError:
        pass
    raise UsageError(f"a key cannot hold for {text!r}", hint="for example --expires-in 12h, or --expires-in 30d")


def state(*, revoked: bool, user_deleted: bool, expires_at: datetime | None, now: datetime) -> str:
    """Whether the API takes a key, and if not, why: active, revoked, user deleted, expired."""
    if revoked:
        return "revoked"
    if user_deleted:
        return "user deleted"
    return "expired" if expires_at is not None and expires_at <= now else "active"


def _in_tenant(session: Session, slug: str, work: Callable[[AsyncSession, UUID], Awaitable[T]]) -> T:
    from service.services import tenants

    async def run(one: AsyncSession) -> T:
        tenant = await tenants.enter(one, slug)
        if tenant.status != "active":
            session.output.note(f"{slug} is {tenant.status}: the API takes none of its keys")
        return await work(one, tenant.id)

    name = shlex.quote(slug)
    every_key = f"jeex tenant key list {name} --all"
    hints = {"KEY_UNKNOWN": every_key, "KEY_ID_INVALID": every_key, "USER_UNKNOWN": f"jeex tenant show {name}"}
    return database.in_transaction(session, run, hints)


async def _one(one: AsyncSession, slug: str, tenant_id: UUID, key_id: str) -> dict[str, Any]:
    from service.core.errors import NotFound
    from service.services import keys

    found = await keys.matching(one, tenant_id=tenant_id, prefix=key_id, limit=_NAMED + 1)
    if not found:
        raise NotFound(f"{slug} has no key whose id is or begins with {key_id}", code="KEY_UNKNOWN")
    described = await _described(one, tenant_id, found)
    if len(found) > 1:
        lines = [f"{key['id']}  {key['name']}  {key['user']}" for key in described[:_NAMED]]
        raise UsageError(
            f"more than one key of {slug} begins with {key_id}",
            code="KEY_AMBIGUOUS",
            detail="\n".join(lines + ["and more"] * (len(found) > _NAMED)),
            hint="give more of its digits, or the whole id",
        )
    return described[0]


def _only(slug: str, owners: Sequence[Holder]) -> Holder:
    """The tenant's only owner. Raises UsageError."""
    if len(owners) == 1:
        return owners[0]
    named = [one.email for one in owners[:_NAMED]] + ["and more"] * (len(owners) > _NAMED)
    raise UsageError(
        f"{slug} has {len(owners)} owners: {', '.join(named)}" if owners else f"{slug} has no owner",
        code="USER_NEEDED",
        hint="say whose key it is to be: "
        + shlex.join(["jeex", "tenant", "key", "create", slug, "--user", owners[0].email if owners else "EMAIL"]),
    )


async def _described(one: AsyncSession, tenant_id: UUID, found: Sequence[KeyView]) -> list[dict[str, Any]]:
    from service.services import keys

    users = await keys.holders(one, tenant_id=tenant_id, ids={key.user_id for key in found})
    now = datetime.now(UTC)
    return [_shown(key, users[key.user_id], now) for key in found]


def _shown(key: KeyView, user: Holder, now: datetime) -> dict[str, Any]:
    is_so = state(revoked=key.revoked_at is not None, user_deleted=user.deleted, expires_at=key.expires_at, now=now)
    return {**asdict(key), "user": user.email, "state": is_so}
