"""Users of the caller's tenant."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.kinds import USER
from service.api.answers import IdempotencyKey, created, gone, once, shown
from service.api.contract import CHANGED, CONDITIONAL, CREATED, DELETED, LISTED, PURGED, READ, RESTORED
from service.api.dependencies import Listing, Managing, PartsOf, Reading, Route
from service.api.paging import PageOf, Users, asked, page_response
from service.api.preconditions import IfMatch, wanted
from service.api.schemas import User, UserChange, UserNew
from service.services import passwords, users
from service.services.passwords import Passwords
from service.services.tenants import valid_email

router = APIRouter(prefix="/api/v1/users", tags=["users"], route_class=Route)


@router.get("", summary="List users", response_model=PageOf[User], responses=LISTED)
async def list_users(work: Listing, query: Users) -> Response:
    """The tenant's users, a page at a time."""
    return page_response(await users.rows(work.driver, work.caller).page(asked(USER, query)), query)


@router.post("", summary="Create a user", status_code=201, response_model=User, responses=CREATED)
async def create_user(
    request: Request, work: Managing, parts: PartsOf, body: UserNew, idempotency_key: IdempotencyKey = None
) -> Response:
    """Needs the role admin; to make an owner, the role owner. The address is free again once a user is deleted."""

    async def make() -> Response:
        values = await _stored(body.model_dump(), parts.passwords)
        return created(request, await users.create(work.driver, work.caller, values))

    return await once(request, work, idempotency_key, body, make)


@router.get("/{user_id}", summary="Read a user", response_model=User, responses=READ, openapi_extra=CONDITIONAL)
async def read_user(request: Request, work: Reading, user_id: uuid.UUID) -> Response:
    """One user, with its version as ETag."""
    return shown(request, await users.rows(work.driver, work.caller).get(user_id))


@router.patch("/{user_id}", summary="Change a user", response_model=User, responses=CHANGED)
async def change_user(
    *, request: Request, work: Reading, parts: PartsOf, user_id: uuid.UUID, body: UserChange, if_match: IfMatch = None
) -> Response:
    """Everybody may change their own names and password; the rest needs the role admin, and owners that of owner."""
    versions = wanted(if_match)
    values = await _stored(body.model_dump(exclude_unset=True), parts.passwords)
    return shown(request, await users.update(work.driver, work.caller, user_id, versions, values))


@router.delete("/{user_id}", summary="Delete a user", status_code=204, responses=DELETED)
async def delete_user(work: Managing, user_id: uuid.UUID, if_match: IfMatch = None) -> Response:
    """Needs the role admin. The user's credentials end with that; the last owner cannot be deleted."""
    await users.delete(work.driver, work.caller, user_id, wanted(if_match, required=False))
    return gone()


@router.post("/{user_id}/restore", summary="Restore a user", response_model=User, responses=RESTORED)
async def restore_user(request: Request, work: Managing, user_id: uuid.UUID) -> Response:
    """Needs the role admin. The user's API keys hold again."""
    return shown(request, await users.restore(work.driver, work.caller, user_id))


@router.post("/{user_id}/purge", summary="Purge a deleted user", status_code=204, responses=PURGED)
async def purge_user(work: Managing, user_id: uuid.UUID) -> Response:
    """Needs the role admin. What the user made stays, made by nobody."""
    await users.purge(work.driver, work.caller, user_id)
    return gone()


async def _stored(values: dict[str, object], hasher: Passwords) -> dict[str, object]:
    """`values` by column: a password becomes its hash."""
    if "email" in values:
        values["email"] = valid_email(str(values["email"]))
    if "password" in values:
        password = values.pop("password")
        values["password_hash"] = None
        if password is not None:
            values["password_hash"] = await hasher.hash(passwords.valid_password(str(password)))
    return values
