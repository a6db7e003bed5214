"""Metrics in Prometheus' text format, for whoever has the token that is for this alone."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.metrics import CONTENT_TYPE
from service.api.dependencies import PartsOf, Route, credential
from service.core.errors import Forbidden, Unauthenticated

router = APIRouter(tags=["health"], route_class=Route)


@router.get("/metrics", summary="Metrics for Prometheus", include_in_schema=False)
async def metrics(request: Request, parts: PartsOf) -> Response:
    """How much is asked of whom tells competitors and attackers something: it is not for everybody."""
    if not parts.metrics_token:
        raise Forbidden("metrics are off", code="METRICS_OFF", hint="set METRICS_TOKEN to 32 characters or more")
    given, right = (hashlib.sha256(one.encode()).digest() for one in (credential(request), parts.metrics_token.reveal()))
    if not hmac.compare_digest(given, right):
        raise Unauthenticated("this is not the token for metrics")
    return Response(await parts.metrics.text(), media_type=CONTENT_TYPE)
