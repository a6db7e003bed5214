"""Users of a tenant: who may do what to whom, and that there is always an owner. Whoever opened the transaction commits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

import asyncpg

from service.adapters import owners
from service.adapters.kinds import USER
from service.adapters.repository import Repository, Row, Statements
from service.core.errors import Conflict, Forbidden
from service.services.authentication import Principal

_STATEMENTS = Statements(USER)
# What everybody may change of themselves.
_OWN = frozenset({"display_name", "username", "password_hash"})


def rows(driver: asyncpg.Connection, caller: Principal) -> Repository:
    """The users of the caller's tenant."""
    return Repository(_STATEMENTS, driver, caller.tenant_id)


async def create(driver: asyncpg.Connection, caller: Principal, values: Mapping[str, object]) -> Row:
    """A new user. Raises Forbidden, Conflict (EMAIL_TAKEN, USERNAME_TAKEN), InvalidInput."""
    caller.require("admin")
    _may_touch(caller, values.get("role"))
    return await rows(driver, caller).insert(values)


async def changeable(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID) -> str:
    """The address of a user whom the caller may change, in some way at least. Raises NotFound, Forbidden."""
    if user_id != caller.user_id:
        caller.require("admin")
    user: Mapping[str, str] = json.loads((await rows(driver, caller).get(user_id)).json)
    return user["email"]


async def update(
    driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID, versions: frozenset[int], values: Mapping[str, object]
) -> Row:
    """The user as it is then. Raises NotFound, Forbidden, PreconditionFailed, Conflict, InvalidInput."""
    if user_id == caller.user_id and values.keys() <= _OWN:
        return await rows(driver, caller).update(user_id, versions, values)
    role = await _touched(driver, caller, user_id, may_be_last=values.get("role", "owner") == "owner")
    if values.get("role", role) != role:
        _may_touch(caller, values["role"])
    return await rows(driver, caller).update(user_id, versions, values)


async def delete(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID, versions: frozenset[int]) -> None:
    """Delete a user, whose credentials end with that; can be restored. Raises NotFound, Forbidden, Conflict, ..."""
    await _touched(driver, caller, user_id, may_be_last=False)
    await rows(driver, caller).delete(user_id, versions)


async def restore(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID) -> Row:
    """A deleted user, whose keys hold again. Raises NotFound, Forbidden, Conflict."""
    await _touched(driver, caller, user_id, may_be_last=True)
    row, _ = await rows(driver, caller).restore(user_id)
    return row


async def purge(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID) -> None:
    """Remove a deleted user for good; what they made stays, made by nobody. Raises NotFound, Forbidden, Conflict."""
    await _touched(driver, caller, user_id, may_be_last=True)
    await rows(driver, caller).purge(user_id)


async def check_reach(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID) -> None:
    """Raises Forbidden where the caller may not act for that user: a key of theirs would carry their rights."""
    caller.require("admin")
    _may_touch(caller, await owners.role_of(driver, caller.tenant_id, user_id))


async def _touched(driver: asyncpg.Connection, caller: Principal, user_id: uuid.UUID, *, may_be_last: bool) -> str | None:
    """The role of a user who is about to be changed, as far as the caller may; `may_be_last`: the only owner will do."""
    caller.require("admin")
    owning = await owners.locked(driver, caller.tenant_id)
    role = "owner" if user_id in owning else await owners.role_of(driver, caller.tenant_id, user_id)
    _may_touch(caller, role)
    if not may_be_last and owning == {user_id}:
        raise Conflict("this is the only owner of the tenant", code="LAST_OWNER", hint="make another user an owner first")
    return role


def _may_touch(caller: Principal, role: object) -> None:
    if role == "owner" and not caller.may("owner"):
        raise Forbidden("only an owner may do this to an owner, or make one", code="ROLE_REQUIRED")
