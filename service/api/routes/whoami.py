"""Who is calling."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.adapters import credentials
from service.api.contract import problems
from service.api.dependencies import Reading, Route
from service.core.errors import Unauthenticated

router = APIRouter(prefix="/api/v1", tags=["identity"], route_class=Route)


class TenantOut(BaseModel):
    """The caller's tenant."""

    id: uuid.UUID
    slug: str
    name: str


class UserOut(BaseModel):
    """The user that the credential belongs to."""

    id: uuid.UUID
    email: str
    display_name: str
    role: str


class WhoAmI(BaseModel):
    """Whose credential it is."""

    tenant: TenantOut
    user: UserOut
    key_id: uuid.UUID | None = Field(description="The API key; null for a token")


@router.get("/whoami", summary="Whose credential is this?", responses=problems(400, 401, 403, 429, 503))
async def whoami(work: Reading) -> WhoAmI:
    """The tenant and the user of the credential that was sent."""
    found = await credentials.identity(work.driver, work.caller.tenant_id, work.caller.user_id)
    if found is None:
        raise Unauthenticated("this token is no longer valid", hint="ask for a new one")
    return WhoAmI(
        tenant=TenantOut(id=found.tenant_id, slug=found.tenant_slug, name=found.tenant_name),
        user=UserOut(id=found.user_id, email=found.email, display_name=found.display_name, role=found.role),
        key_id=work.caller.key_id,
    )
