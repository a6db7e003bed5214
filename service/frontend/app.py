"""Serves the page. Starlette alone; nothing of the API's code but its outermost layer."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from service.api.edge import Edge, request_info

STATIC = Path(__file__).with_name("static")
_PLACEHOLDER = "{{ api_url }}"


def create_app(api_url: str, instance: str = "") -> ASGIApp:
    """The page for the API at `api_url`, as a browser reaches it. `instance` is the id of the stack."""
    parts = urlsplit(api_url)  # settings have seen to it that nothing in it ends a directive or an attribute
    origin = f"{parts.scheme}://{parts.netloc}"
    page = (STATIC / "index.html").read_text(encoding="utf-8").replace(_PLACEHOLDER, html.escape(api_url))
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {origin}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": policy, "cache-control": "no-cache"})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "instance": instance})

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/health", health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={HTTPException: _problem},
    )
    app.router.redirect_slashes = False
    return Edge(app)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's type is wider than what it passes
    body = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "instance": request.url.path,
        "request_id": request_info(request.scope).request_id,
    }
    return JSONResponse(body, error.status_code, error.headers, "application/problem+json")
