"""Who is calling."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from pydantic import BaseModel

from service.api.dependencies import Caller
from service.api.problems import documented

router = APIRouter(prefix="/api/v1", tags=["identity"])


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
    key_id: uuid.UUID


@router.get("/whoami", summary="Whose credential is this?", responses=documented(401, 403, 503))
async def whoami(caller: Caller) -> WhoAmI:
    """The tenant and the user of the API key that was sent."""
    return WhoAmI(
        tenant=TenantOut(id=caller.tenant_id, slug=caller.tenant_slug, name=caller.tenant_name),
        user=UserOut(id=caller.user_id, email=caller.email, display_name=caller.display_name, role=caller.role),
        key_id=caller.key_id,
    )
