"""Is the process alive, and should it be sent requests?"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from service.api.contract import problems
from service.api.dependencies import PartsOf, Route
from service.api.problems import problem
from service.core.errors import DatabaseUnavailable

router = APIRouter(tags=["health"], route_class=Route)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    instance: str = ""


class Ready(BaseModel):
    """Requests will succeed."""

    status: Literal["ready"] = "ready"
    revision: str


@router.get("/health", summary="Is the process alive?")
async def health(parts: PartsOf) -> Health:
    """Says nothing of what the process depends on: a restart would not bring that back. `instance` is the stack's id."""
    return Health(instance=parts.instance)


@router.get("/ready", summary="Should it be sent requests?", response_model=Ready, responses=problems(400, 503))
async def ready(request: Request, parts: PartsOf) -> Ready | Response:
    """PostgreSQL answers, its schema is the one this code needs, and the process is not about to end."""
    missing: dict[str, str] = {}
    if parts.draining.started:
        missing["process"] = "it is shutting down"
    try:
        schema = await parts.database.schema()
    except DatabaseUnavailable as error:
        missing["postgresql"] = error.message
    else:
        if schema.revision != parts.head:
            missing["migrations"] = f"the schema is at {schema.revision or 'nothing'}, this code needs {parts.head}"
    if missing:
        detail = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        return problem(request.scope, 503, detail, code="NOT_READY", headers={"retry-after": "1"}, missing=sorted(missing))
    return Ready(revision=parts.head)
