"""How every part of the platform is."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.contract import LISTED
from service.api.dependencies import Operator, PartsOf, Route
from service.services import system

router = APIRouter(prefix="/api/v1/system", tags=["system"], route_class=Route)


class SystemStatus(BaseModel):
    """Every component at one moment."""

    status: system.Overall = Field(description="ok; degraded: something is down; down: something vital is")
    version: str = Field(description="of the platform")
    checked_at: datetime
    components: list[system.Component]


@router.get("/status", summary="How is every component?")
async def system_status(parts: PartsOf) -> SystemStatus:
    """Asks every component at the same time, once for all who ask meanwhile.

    Answers 200 whatever they say: the report is the answer.
    """
    overall, components = await parts.report.now()
    return SystemStatus(status=overall, version=parts.version, checked_at=datetime.now(UTC), components=components)


class Leases(BaseModel):
    """What this process holds of Vault's; it renews each when half of its time is over."""

    leases: list[system.Lease]


@router.get("/leases", summary="What does this process hold for a time?", responses=LISTED)
async def system_leases(parts: PartsOf, _administration: Operator) -> Leases:
    """Its token of Vault's and its login of PostgreSQL's, in seconds. Empty before it has needed any."""
    return Leases(leases=parts.leases())
