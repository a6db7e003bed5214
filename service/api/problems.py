"""Every answer that is not a success, as RFC 9457 problem details.

{"type": "urn:jeex:problem:not-found", "title": "Not Found", "status": 404, "detail": "...", "instance": "/path",
 "code": "NOT_FOUND", "request_id": "..."}, and `errors` ([{"pointer", "detail"}]) where several things are wrong at once.
"""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.edge import request_info
from service.core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    ServiceError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[ServiceError], int], ...] = (
    (InvalidInput, 422),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (PreconditionFailed, 412),
    (PreconditionRequired, 428),
    (TooManyRequests, 429),
    (Unavailable, 503),
)
_RETRY_AFTER = "1"  # seconds


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:jeex:problem:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is nothing at this path"])
    instance: str | None = Field(None, examples=["/api/v1/nothing"], description="The path; not where the head was too long")
    code: str = Field(examples=["NOT_FOUND"], description="Stable, meant for programs")
    request_id: str | None = Field(None, description="The same as in the X-Request-ID header and in the logs")
    errors: list[dict[str, str]] | None = Field(None, description="What is wrong where, as JSON pointers into the request")


def problem(
    scope: Scope,
    status: int,
    detail: str,
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] | None = None,
    **extra: object,
) -> Response:
    """The response for one problem. `code` is the status' own name by default."""
    known = http.HTTPStatus(status)
    code = code or known.name
    body: dict[str, object] = {
        "type": f"urn:jeex:problem:{code.lower().replace('_', '-')}",
        "title": known.phrase,
        "status": status,
        "detail": detail,
        "instance": scope["path"].encode(errors="replace").decode(),
        "code": code,
        "request_id": request_info(scope).request_id,
        **({"errors": errors} if errors else {}),
        **extra,
    }
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid_request)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101 - Starlette's type is wider than what it passes
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = str(error.retry_after)
    if status == 503:
        headers["retry-after"] = _RETRY_AFTER
        structlog.get_logger().warning("http.unavailable", code=error.code, reason=error.message)
    if status == 500:
        structlog.get_logger().error("http.failed", code=error.code, reason=error.message)
        return problem(request.scope, 500, "the request could not be completed")
    field = getattr(error, "field", "")
    errors = [{"pointer": f"/{field}", "detail": error.message}] if field else None
    extra = {"hint": error.hint} if error.hint else {}
    return problem(request.scope, status, error.message, code=error.code, headers=headers, errors=errors, **extra)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 400 and isinstance(error.__cause__, ValueError | RecursionError):
        return _malformed(request)  # FastAPI's word for a body that json cannot read, for another reason than its grammar
    said = {404: "there is nothing at this path", 405: f"{request.method} is not possible here"}
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 405:
        headers["allow"] = ", ".join(sorted(_methods(request)))
    if detail == http.HTTPStatus(error.status_code).phrase:
        detail = said.get(error.status_code, detail)
    return problem(request.scope, error.status_code, detail, headers=headers)


def _malformed(request: Request) -> Response:
    return problem(request.scope, 400, "the body is not JSON", code="MALFORMED_JSON")


def _methods(request: Request) -> set[str]:
    """What is possible at the request's path; the first route that fits knows only of its own."""
    routes: list[BaseRoute] = request.app.routes
    fitting = (route for route in routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in fitting for method in route.methods or ()}


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return _malformed(request)
    # Only where and why: what was sent may be a secret.
    errors = [{"pointer": "/" + "/".join(map(str, one["loc"])), "detail": str(one["msg"])} for one in found]
    return problem(request.scope, 422, "the request breaks the rules of this endpoint", code="INVALID", errors=errors)


class Boundary:
    """Turns an error that nobody expected into a 500: told to the log in full, to the client not at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            structlog.get_logger().exception("http.crashed", path=scope["path"])
            if started:
                raise  # half an answer is out; the connection must break, or the client would take it for whole
            response = problem(scope, 500, "this is a mistake of ours; the log has it under this request's id")
            await response(scope, receive, send)


class Cors(CORSMiddleware):
    """Starlette's CORS, except that a refused preflight is a problem like any other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = [name for name, _ in scope["headers"]]
        if b"origin" not in names:  # not a browser's; Edge says that answers differ by Origin
            await self.app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
            answer = self.preflight_response(Request(scope).headers)
            if answer.status_code >= 400:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name == "vary" or name.startswith("access-control-")
                }
                answer = problem(scope, 400, bytes(answer.body).decode(), code="CORS_REFUSED", headers=kept)
            await answer(scope, receive, send)
            return
        await super().__call__(scope, receive, send)
