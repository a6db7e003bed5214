"""The FastAPI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from service.api import problems
from service.api.dependencies import Parts
from service.api.edge import Edge, Observer
from service.api.hosts import TrustedHost
from service.api.limits import BodyLimit, Deadline
from service.api.methods import Head
from service.api.observing import Counting
from service.api.routes import (
    docs,
    documents,
    health,
    jobs,
    keys,
    metrics,
    projects,
    system,
    tenants,
    tokens,
    users,
    whoami,
)
from service.core.settings import Settings

_EXPOSED = ("X-Request-ID", "traceparent", "ETag", "Location", "Retry-After", "Idempotent-Replayed", "Content-Disposition")
# Looked through in this order for every request: what is asked most comes first.
_ROUTES = (projects, documents, users, keys, whoami, jobs, tokens, tenants, system, health, metrics, docs)
_ALLOWED = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID", "traceparent")


def create_app(
    parts: Parts,
    settings: Settings,
    *,
    close: Callable[[], Awaitable[None]],
    background: Sequence[Callable[[], Coroutine[None, None, None]]] = (),
    observers: Sequence[Observer] = (),
) -> ASGIApp:
    """The whole HTTP surface. All of `background` runs for as long as the server does; `close` is called when that ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one()) for one in background]
        yield
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await close()

    app = FastAPI(
        title="jeex",
        version=parts.version,
        description="The multi-tenant platform. Errors are problem details (RFC 9457).",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Traces are ours (edge.py), and no variable of the user's may send anything anywhere.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=lifespan,
    )
    app.state.parts = parts
    problems.install(app)
    for module in _ROUTES:
        # Not include_router(): what it puts around every route costs each request as much as a query.
        app.router.routes.extend(module.router.routes)
    app.mount("/static", StaticFiles(directory=docs.STATIC))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]

    # From the inside out. The boundary is inside of Starlette's own, which would answer with plain text; CORS is outside of
    # whatever refuses, so that a browser may read even a 500.
    app.add_middleware(problems.Boundary)
    limited = BodyLimit(Deadline(app, settings.request_timeout), settings.body_limit)
    shared = problems.Cors(
        TrustedHost(Head(limited), settings.allowed_hosts),
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=_ALLOWED,
        expose_headers=_EXPOSED,
    )
    return Edge(shared, [Counting(parts.metrics), *observers])


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        app.openapi_schema = document
    return app.openapi_schema
