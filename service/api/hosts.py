"""Which names this API answers to. Anything built from a Host that somebody else chose would be theirs."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem

_ADMITTED = "jeex.host"


class TrustedHost:
    """Starlette's TrustedHostMiddleware, except that a refusal is a problem like any other, and two Hosts are one too many.

    Only Host counts: X-Forwarded-Host and the like are not looked at.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._judge = TrustedHostMiddleware(_admitted, allowed_hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._judge(scope, receive, _nowhere)
        if scope.pop(_ADMITTED, False) and len([name for name, _ in scope["headers"] if name == b"host"]) < 2:
            await self._app(scope, receive, send)
        else:
            refusal = problem(scope, 400, "this host name is not served here", code="HOST_NOT_ALLOWED")
            await refusal(scope, receive, send)


async def _admitted(scope: Scope, _receive: Receive, _send: Send) -> None:
    scope[_ADMITTED] = True


async def _nowhere(_message: Message) -> None:
    """Where Starlette's own refusal goes."""
