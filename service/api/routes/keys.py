"""API keys of the caller's tenant: one's own, and for administrators everybody's."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.adapters.database import driver_of
from service.api.contract import problems
from service.api.dependencies import Route, Session, SessionWork
from service.api.schemas import Body, Name
from service.core.errors import Forbidden
from service.services import keys, users
from service.services.keys import KeyView

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], route_class=Route)


class KeyNew(Body):
    """A key to be made; of another user only by an administrator. Without an end it holds until it is revoked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ci", "expires_at": "2030-01-01T00:00:00Z"}]})

    name: Name
    user_id: uuid.UUID | None = None
    expires_at: AwareDatetime | None = None


class Key(BaseModel):
    """A key, without what makes it one."""

    id: uuid.UUID
    user_id: uuid.UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")


class KeyMade(Key):
    """A new key."""

    key: str = Field(description="The key itself. It is stored nowhere and never shown again.")


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[Key]
    next_cursor: uuid.UUID | None


class KeyQuery(BaseModel):
    """A list of keys."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200)
    cursor: uuid.UUID | None = Field(None, description="`next_cursor` of the page before")
    user_id: uuid.UUID | None = Field(
        None, description="Only the keys of this user; an administrator's default is everybody"
    )
    revoked: bool = Field(False, description="The revoked ones as well")


@router.get("", summary="List API keys", responses=problems(400, 401, 403, 422, 429, 503))
async def list_keys(work: Session, query: Annotated[KeyQuery, Query()]) -> KeyPage:
    """One's own keys, oldest first; everybody's for the role admin."""
    user_id = query.user_id
    if not work.caller.may("admin"):
        user_id = _own(work, user_id)
    found = await keys.list_keys(
        work.session,
        tenant_id=work.caller.tenant_id,
        user_id=user_id,
        include_revoked=query.revoked,
        after=query.cursor,
        limit=query.limit + 1,
    )
    page = found[: query.limit]
    return KeyPage(items=[_key(one) for one in page], next_cursor=page[-1].id if len(found) > query.limit else None)


@router.post(
    "", summary="Create an API key", status_code=201, responses=problems(400, 401, 403, 404, 408, 413, 422, 429, 503)
)
async def create_key(work: Session, body: KeyNew) -> KeyMade:
    """The key is in this answer and nowhere else."""
    user_id = body.user_id or work.caller.user_id
    if user_id != work.caller.user_id:
        await users.check_reach(await driver_of(work.session), work.caller, user_id)
    made = await keys.create(
        work.session, tenant_id=work.caller.tenant_id, user_id=user_id, name=body.name, expires_at=body.expires_at
    )
    return KeyMade(key=made.secret.reveal(), **_fields(made.view))


@router.delete(
    "/{key_id}", summary="Revoke an API key", status_code=204, responses=problems(400, 401, 403, 404, 422, 429, 503)
)
async def revoke_key(work: Session, key_id: uuid.UUID) -> None:
    """It is refused from then on. One's own keys; everybody's for the role admin. Once more is the same as once."""
    user_id = None if work.caller.may("admin") else work.caller.user_id
    await keys.revoke(work.session, tenant_id=work.caller.tenant_id, key_id=key_id, user_id=user_id)


def _own(work: SessionWork, user_id: uuid.UUID | None) -> uuid.UUID:
    if user_id not in (None, work.caller.user_id):
        raise Forbidden("the keys of others need the role admin", code="ROLE_REQUIRED")
    return work.caller.user_id


def _fields(view: KeyView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in Key.model_fields}


def _key(view: KeyView) -> Key:
    return Key(**_fields(view))
