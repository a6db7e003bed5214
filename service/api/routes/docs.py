"""Swagger UI from files of our own: it works without a network, and nobody else's server learns who reads it."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, RedirectResponse

from service.api.dependencies import Route

STATIC = Path(__file__).parents[1] / "static"
# Swagger UI sets styles from script; everything else comes from here.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

router = APIRouter(include_in_schema=False, route_class=Route)


@router.get("/")
async def root() -> RedirectResponse:
    """Whoever opens the API in a browser wants to read about it."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "docs.html", headers={"content-security-policy": _POLICY, "cache-control": "no-cache"})
