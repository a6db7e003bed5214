"""API keys as things to make, look at and revoke. In a session bound to the tenant, as jeex_app or jeex_admin.

Who may do this to whose keys is for the caller to decide; whoever opened the transaction commits.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from service.adapters import keys
from service.adapters.keys import Holder
from service.core.errors import InvalidInput, NotFound
from service.core.settings import Secret
from service.models import ApiKey
from service.services import authentication
from service.services.naming import valid_email, valid_name

# An id begins with its time in milliseconds: eight digits are a minute, fewer would name whatever there happens to be.
_PREFIX = re.compile(r"[0-9a-f]{8,32}")


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
class NewKey:
    """What was made. `secret` is the only copy of the whole key: only its hash is stored."""

    view: KeyView
    secret: Secret


async def create(
    session: AsyncSession, *, tenant_id: uuid.UUID, user_id: uuid.UUID, name: str, expires_at: datetime | None
) -> NewKey:
    """A key of that user; None holds until it is revoked.

    Raises InvalidInput (field name or expires_at), NotFound (code USER_UNKNOWN, also for a deleted user).
    """
    name, expires_at = valid_name(name), _moment(expires_at)
    now = await keys.lock_holder(session, tenant_id, user_id)
    if now is None:
        raise NotFound("there is no user of that id", code="USER_UNKNOWN")
    if expires_at is not None and expires_at <= now:  # by the database's clock, which also says when the key was made
        raise InvalidInput("a key can only expire in the future", field="expires_at")
    secret = authentication.new_secret()
    key = ApiKey(
        tenant_id=tenant_id,
        user_id=user_id,
        name=name,
        secret_hash=authentication.digest(secret),
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    return NewKey(_view(key), authentication.compose(tenant_id, key.id, secret))


async def list_keys(
    session: AsyncSession,
    *,
    tenant_id: uuid.UUID,
    user_id: uuid.UUID | None = None,
    include_revoked: bool = False,
    after: uuid.UUID | None = None,
    limit: int | None = 50,
) -> list[KeyView]:
    """Up to `limit` keys (None: all) behind the id `after`, oldest first; of one user or of the whole tenant."""
    found = await keys.page(session, tenant_id, user_id=user_id, include_revoked=include_revoked, after=after, limit=limit)
    return [_view(one) for one in found]


async def revoke(
    session: AsyncSession, *, tenant_id: uuid.UUID, key_id: uuid.UUID, user_id: uuid.UUID | None = None
) -> KeyView:
    """The key, which is refused from the commit on. Once more is the same as once: the first moment stays.

    With `user_id` only a key of that user. Raises NotFound (code KEY_UNKNOWN).
    """
    found = await keys.revoke(session, tenant_id, key_id, user_id)
    if found is None:
        raise NotFound("there is no key of that id", code="KEY_UNKNOWN")
    return _view(found)


async def matching(session: AsyncSession, *, tenant_id: uuid.UUID, prefix: str, limit: int = 10) -> list[KeyView]:
    """Keys whose ids begin with `prefix`, oldest first, the revoked ones too. Raises InvalidInput (code KEY_ID_INVALID)."""
    first, last = id_range(prefix)
    return [_view(one) for one in await keys.between(session, tenant_id, first, last, limit)]


def id_range(prefix: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The first and the last id that begin with those hexadecimal digits. Raises InvalidInput (code KEY_ID_INVALID)."""
    digits = prefix.strip().lower().replace("-", "")
    if not _PREFIX.fullmatch(digits):
        raise InvalidInput("this is no id of a key, nor its first 8 or more digits", field="key_id", code="KEY_ID_INVALID")
    return uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))


async def holder(session: AsyncSession, *, tenant_id: uuid.UUID, email: str) -> Holder:
    """The user of that address. Raises InvalidInput (field email), NotFound (code USER_UNKNOWN)."""
    email = valid_email(email)
    found = await keys.by_email(session, tenant_id, email)
    if found is None:
        raise NotFound(f"there is no user of the address {email}", code="USER_UNKNOWN")
    return found


async def owners(session: AsyncSession, *, tenant_id: uuid.UUID) -> list[Holder]:
    """The owners of the tenant, oldest first."""
    return list(await keys.owners(session, tenant_id))


async def holders(session: AsyncSession, *, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Holder]:
    """Those users by id, the deleted ones too: their keys are refused, and hold again when they are restored."""
    return {one.id: one for one in await keys.holders(session, tenant_id, ids)}


def _moment(given: datetime | None) -> datetime | None:
    """`given` in UTC. Near the end of the calendar there are times that UTC does not have."""
    if given is None:
        return None
    if given.tzinfo is None:
        raise InvalidInput("a time needs its zone", field="expires_at", hint="for example: 2030-01-01T00:00:00Z")
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise InvalidInput("this is beyond the end of the calendar", field="expires_at") from None


def _view(row: ApiKey) -> KeyView:
    return KeyView(row.id, row.user_id, row.name, row.created_at, row.expires_at, row.revoked_at, row.last_used_at)
