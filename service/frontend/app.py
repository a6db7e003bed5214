"""Serves the page. Starlette alone; nothing of the API's code but its outermost layer."""

from __future__ import annotations

import hashlib
import html
import os
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from service.api.edge import Edge, request_info

STATIC = Path(__file__).with_name("static")
_SCRIPTS = ("boot.js", "theme.js")  # those that are no modules
# A browser asks each time whether its copy still holds (304), so a new version is seen at once and never half of it.
_REVALIDATED = {"cache-control": "no-cache"}


class _Files(StaticFiles):
    """Files with the ETag that Starlette gives them, which a browser may keep but has to ask about."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_REVALIDATED)
        return response


def create_app(api_url: str, instance: str = "") -> ASGIApp:
    """The page for the API at `api_url`, as a browser reaches it. `instance` is the id of the stack."""
    parts = urlsplit(api_url)  # settings have seen to it that nothing in it ends a directive or an attribute
    page = _page(api_url)
    headers = {**_REVALIDATED, "content-security-policy": _policy(f"{parts.scheme}://{parts.netloc}")}
    headers["etag"] = f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'

    async def index(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(page, headers=headers)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "instance": instance})

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/health", health),
            Mount("/static", _Files(directory=STATIC)),
        ],
        exception_handlers={HTTPException: _problem},
    )
    app.router.redirect_slashes = False
    return Edge(app)


def _page(api_url: str) -> str:
    """The page, which also names every module: the browser fetches them at once, not one import after another."""
    paths = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.glob("js/**/*.js") if path.name not in _SCRIPTS)
    modules = "\n".join(f'<link rel="modulepreload" href="/static/{path}">' for path in paths)
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    return page.replace("{{ modules }}", modules).replace("{{ api_url }}", html.escape(api_url))


def _policy(api: str) -> str:
    """Scripts, styles and pictures of our own, answers of the API's, and no way from text to markup or to code."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {api}; "
        "require-trusted-types-for 'script'; trusted-types 'none'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


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
