"""What endpoints ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.adapters.database import Database
from service.api.edge import request_info
from service.api.server import Draining
from service.core.errors import Unauthenticated
from service.services import authentication
from service.services.authentication import Principal
from service.services.system import Report


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is put together from; made in service/commands/api.py, reached through `app.state.parts`."""

    database: Database
    report: Report
    draining: Draining
    head: str  # revision of the schema that this code needs
    version: str  # of the platform


def parts(request: Request) -> Parts:
    """The application's parts."""
    found: Parts = request.app.state.parts
    return found


_bearer = HTTPBearer(auto_error=False, scheme_name="API key", description="`Authorization: Bearer jx_...`")


async def caller(
    request: Request,
    parts: Annotated[Parts, Depends(parts)],
    credential: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """Who calls, proved by an API key. Nothing else in a request can say so. Raises Unauthenticated, Forbidden."""
    if credential is None:
        raise Unauthenticated("this needs an API key", hint="send it as: Authorization: Bearer jx_...")
    claim = authentication.parse(credential.credentials)
    async with parts.database.transaction(claim.tenant_id) as session:
        principal = await authentication.authenticate(session, claim)
    request_info(request.scope).tenant = principal.tenant_slug
    structlog.contextvars.bind_contextvars(tenant=principal.tenant_slug)
    return principal


PartsOf = Annotated[Parts, Depends(parts)]
Caller = Annotated[Principal, Depends(caller)]
