"""The outermost layer of every HTTP process: who is asking, how it went, and headers that browsers obey. Pure ASGI.

Each request has a `request_id` (the caller's X-Request-ID when it is harmless, else a new one) and a W3C trace: the
caller's `traceparent` is continued, with a span of our own. Both are in every log line of the request and in its response.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = "jeex.request"

SECURITY_HEADERS = {
    # An API returns data: nothing of it may run, be framed or be guessed to be something else.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "Origin",  # CORS answers each of them differently
}


@dataclass(slots=True)
class RequestInfo:
    """What is known of a request; the layers below fill in the tenant once a credential has proved it."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str
    tenant: str | None = None
    parent_id: str = ""  # the caller's span; "" where we began the trace

    @property
    def traceparent(self) -> str:
        """The header for whoever we call, and for whoever called us."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def request_info(scope: Scope) -> RequestInfo:
    """The RequestInfo of the request that `scope` belongs to."""
    info: RequestInfo = scope[_STATE]
    return info


class Observer(Protocol):
    """Is told of every request, by the task that serves it."""

    def began(self, scope: Scope, info: RequestInfo) -> None:
        """Its head has been read."""

    def ended(self, scope: Scope, info: RequestInfo, status: int, seconds: float) -> None:
        """It has been answered, or its client has left."""


class Edge:
    """Wraps `app`. A header that the app sets itself wins over the default of the same name."""

    def __init__(self, app: ASGIApp, observers: Sequence[Observer] = ()) -> None:
        self._app = app
        self._observers = tuple(observers)
        self._log = structlog.get_logger()
        self._headers = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        info = scope[_STATE] = _identify(scope["headers"])
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=info.request_id, trace_id=info.trace_id, span_id=info.span_id)
        ours = [
            *self._headers,
            (b"x-request-id", info.request_id.encode()),
            (b"traceparent", info.traceparent.encode()),
        ]
        for one in self._observers:
            one.began(scope, info)
        status = 499  # what is logged when the client left before the answer began

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [one for one in ours if one[0] not in names]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            for one in self._observers:
                one.ended(scope, info, status, seconds)
            extra = {"tenant": info.tenant} if info.tenant else {}
            self._log.info(
                "http.request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 2),
                **extra,
            )


def _identify(headers: Iterable[tuple[bytes, bytes]]) -> RequestInfo:
    request_id, trace_id, parent_id, flags = "", "", "", "01"
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)):
            version, trace, parent, given = found[1], found[2], found[3], found[4]
            # The standard's rules: ff is no version, 00 has nothing more, and zeros are no id.
            if version != b"ff" and not (version == b"00" and found[5]) and trace.strip(b"0") and parent.strip(b"0"):
                trace_id, parent_id, flags = trace.decode(), parent.decode(), given.decode()
    fresh = secrets.token_hex(40)  # once: it asks the kernel
    return RequestInfo(request_id or fresh[:32], trace_id or fresh[32:64], fresh[64:], flags, parent_id=parent_id)
