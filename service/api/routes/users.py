"""Users of the caller's tenant."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.kinds import USER
from service.api.answers import IdempotencyKey, created, gone, once, shown
from service.api.contract import CHANGED, CONDITIONAL, CREATED, DELETED, LISTED, PURGED, READ, RESTORED
from service.api.dependencies import Caller, Listing, Managing, PartsOf, Reading, Route, Work
from service.api.paging import PageOf, Users, asked, page_response
from service.api.preconditions import NOT_SENT, IfMatch, wanted
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
    request: Request, caller: Caller, parts: PartsOf, body: UserNew, idempotency_key: IdempotencyKey = NOT_SENT
) -> Response:
    """Needs the role admin; to make an owner, the role owner. The address is free again once a user is deleted."""
    caller.require("admin")
    values = await _stored(body.model_dump(), parts.passwords, email=body.email)
    async with parts.database.direct(caller.tenant_id) as driver:

        async def make() -> Response:
            return created(request, await users.create(driver, caller, values))

        return await once(request, Work(caller, driver), idempotency_key, body, make)


@router.get("/{user_id}", summary="Read a user", response_model=User, responses=READ, openapi_extra=CONDITIONAL)
async def read_user(request: Request, work: Reading, user_id: uuid.UUID) -> Response:
    """One user, with its version as ETag."""
    return shown(request, await users.rows(work.driver, work.caller).get(user_id))


@router.patch("/{user_id}", summary="Change a user", response_model=User, responses=CHANGED)
async def change_user(
    *, request: Request, caller: Caller, parts: PartsOf, user_id: uuid.UUID, body: UserChange, if_match: IfMatch = NOT_SENT
) -> Response:
    """Everybody may change their own names and password; the rest needs the role admin, and owners that of owner."""
    versions = wanted(if_match)
    async with parts.database.direct(caller.tenant_id) as driver:
        email = await users.changeable(driver, caller, user_id)
    values = await _stored(body.model_dump(exclude_unset=True), parts.passwords, email=body.email or email)
    async with parts.database.direct(caller.tenant_id) as driver:
        return shown(request, await users.update(driver, caller, user_id, versions, values))


@router.delete("/{user_id}", summary="Delete a user", status_code=204, responses=DELETED)
async def delete_user(work: Managing, user_id: uuid.UUID, if_match: IfMatch = NOT_SENT) -> Response:
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


async def _stored(values: dict[str, object], hasher: Passwords, *, email: str) -> dict[str, object]:
    """`values` by column: the password of the user with that address becomes its hash.

    To be called without a transaction: hashing takes long, and many may wait for it.
    """
    if "email" in values:
        values["email"] = valid_email(str(values["email"]))
    if "password" in values:
        password = values.pop("password")
        values["password_hash"] = None
        if password is not None:
            values["password_hash"] = await hasher.hash(passwords.valid_password(str(password), email=email))
    return values
