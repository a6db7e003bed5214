"""Which methods there are."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_HEAD = "jeex.head"


def is_head(scope: Scope) -> bool:
    """Whether nobody will read the content: for what has no end."""
    return _HEAD in scope


class Head:
    """Answers HEAD wherever there is GET, as RFC 9110 has it; FastAPI's routes would refuse it.

    The application sees a GET; the server, whose scope still says HEAD, leaves the content out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            seen = {**scope, "method": "GET", _HEAD: True}
            await self._app(seen, receive, send)
            if "route" in seen:  # which one it was is asked of the scope that came in
                scope["route"] = seen["route"]
            return
        await self._app(scope, receive, send)
