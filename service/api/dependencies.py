"""What endpoints ask for: the application's parts, who calls, and a transaction of that caller's tenant.

`Reading`, `Listing`, `Writing` and `Managing` are a transaction bound to the tenant that the credential proves, for callers
who have the role. Nothing else in a request, no header, path, query or body, says which tenant it is about.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any

import asyncpg
import structlog
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from service.adapters.database import Database, driver_of
from service.api.edge import request_info
from service.api.limits import RateLimiter
from service.api.server import Draining
from service.api.shortcut import shortcut
from service.core.errors import Forbidden, Unauthenticated
from service.core.settings import Secret
from service.services import authentication
from service.services.authentication import Claim, Principal, Recent
from service.services.job_feed import JobFeed
from service.services.jobs import Queue
from service.services.oauth import OAuthProviders
from service.services.passwords import Passwords
from service.services.system import Report
from service.services.tokens import Tokens

_WORK = "jeex.work"
_CREDENTIAL = ("credential", "An API key (`jx_...`) or a token of POST /api/v1/tokens")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is put together from; made in service/commands/api.py, reached through `app.state.parts`."""

    database: Database
    administration: Database | None  # as jeex_admin; None where this installation has no such URL
    tokens: Tokens
    passwords: Passwords
    recent: Recent  # whose token was compared with the database a moment ago
    limiter: RateLimiter  # requests of a tenant
    attempts: RateLimiter  # to sign in, of an address
    admin_key: Secret
    oauth: OAuthProviders
    report: Report
    queue: Queue
    feed: JobFeed
    draining: Draining
    head: str  # revision of the schema that this code needs
    version: str  # of the platform
    instance: str  # id of the stack that this process is of, "" where it has none


async def parts(request: Request) -> Parts:
    """The application's parts."""
    found: Parts = request.app.state.parts
    return found


@dataclass(frozen=True, slots=True)
class Work:
    """One request's transaction and whose it is."""

    caller: Principal
    driver: asyncpg.Connection


@dataclass(frozen=True, slots=True)
class SessionWork:
    """The same, through SQLAlchemy."""

    caller: Principal
    session: AsyncSession


class _Bearer(SecurityBase):
    """A credential in the Authorization header, as the OpenAPI document knows it."""

    def __init__(self, name: str, description: str) -> None:
        self.model = BearerModel(description=description)
        self.scheme_name = name


class Bound(_Bearer):
    """A transaction bound to the caller's tenant, for callers with `role`. `Route` opens it; this hands it on."""

    def __init__(self, role: str, *, pages: bool = False, through_orm: bool = False) -> None:
        super().__init__(*_CREDENTIAL)
        self.role = role
        self.pages = pages
        self.through_orm = through_orm

    async def __call__(self, request: Request) -> Work | SessionWork:
        found: Work | SessionWork = request.scope[_WORK]
        return found


class Route(APIRoute):
    """A route whose endpoint works in a transaction, where it asks for one.

    It is committed before the answer is sent, for an answer that says "done" must be about what is done; and rolled back
    when the endpoint raises. A dependency with `yield` could do that as well, at three times the price of BEGIN and COMMIT.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """As FastAPI's; but its operationId is the endpoint's name, for programs are generated from that."""
        super().__init__(path, endpoint, **{**options, "generate_unique_id_function": attrgetter("name")})

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As FastAPI's, after a look at how the path begins: nearly all of the routes that are asked are others."""
        if not scope["path"].startswith(self.path.partition("{")[0]):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, inside of the transaction."""
        inner = super().get_route_handler()
        asked = [one.call for one in self.dependant.dependencies if isinstance(one.call, Bound)]
        if not asked:
            return inner
        bound, inner = asked[0], shortcut(self.dependant, self.endpoint, inner, work=_WORK)

        async def through_driver(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            who = await presented(request, parts)
            async with parts.database.direct(who.tenant_id, pages=bound.pages) as driver:
                caller = await proved(request, parts, who, driver)
                caller.require(bound.role)
                request.scope[_WORK] = Work(caller, driver)
                return await inner(request)

        async def through_session(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            who = await presented(request, parts)
            async with parts.database.transaction(who.tenant_id) as session:
                caller = await proved(request, parts, who, await driver_of(session))
                caller.require(bound.role)
                request.scope[_WORK] = SessionWork(caller, session)
                return await inner(request)

        return through_session if bound.through_orm else through_driver


class _Caller(_Bearer):
    """Who calls, without a transaction."""

    async def __call__(self, request: Request) -> Principal:
        found: Parts = request.app.state.parts
        who = await presented(request, found)
        async with found.database.direct(who.tenant_id) as driver:
            return await proved(request, found, who, driver)


class _Operator(_Bearer):
    """Whoever has this installation's administration key: sees every tenant, and of a tenant's rows none."""

    def __init__(self) -> None:
        super().__init__("administration", "The installation's administration key (JEEX_ADMIN_KEY)")

    async def __call__(self, request: Request) -> Database:
        found: Parts = request.app.state.parts
        text = _credential(request)
        if found.administration is None or not found.admin_key:
            raise Forbidden(
                "the administration of tenants over HTTP is off",
                code="ADMINISTRATION_OFF",
                hint="set ADMIN_KEY and DATABASE_ADMIN_URL, or use jeex tenant",
            )
        # Digests, so that the comparison takes as long whatever is sent.
        given, right = (hashlib.sha256(one.encode()).digest() for one in (text, found.admin_key.reveal()))
        if not hmac.compare_digest(given, right):
            raise Unauthenticated("this is not the administration key")
        return found.administration


async def presented(request: Request, parts: Parts) -> Principal | Claim:
    """What the request's credential says: proved for a token, a claim for an API key. Raises Unauthenticated."""
    text = _credential(request)
    if text.startswith("jx_"):
        return authentication.parse(text)
    token = await parts.tokens.verify(text)
    parts.limiter.hit(token.tenant_id)
    return Principal(token.tenant_id, token.tenant_slug, token.user_id, token.role)


async def proved(request: Request, parts: Parts, who: Principal | Claim, driver: asyncpg.Connection) -> Principal:
    """The caller, in a transaction bound to the tenant that was presented. Raises Unauthenticated, Forbidden."""
    if isinstance(who, Claim):
        who = await authentication.by_key(driver, who)
        parts.limiter.hit(who.tenant_id)
    elif not parts.recent.knows(who):
        await authentication.still(driver, who)
        parts.recent.add(who)
    request_info(request.scope).tenant = who.tenant_slug
    structlog.contextvars.bind_contextvars(tenant=who.tenant_slug)
    return who


async def held_until(request: Request, parts: Parts) -> float | None:
    """When the request's token ends, in seconds since the epoch; None for an API key. Raises Unauthenticated."""
    text = _credential(request)
    return None if text.startswith("jx_") else (await parts.tokens.verify(text)).expires_at.timestamp()


def _credential(request: Request) -> str:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated("this needs a credential", hint="send it as: Authorization: Bearer jx_...")
    return text.strip()


Reading = Annotated[Work, Depends(Bound("viewer"))]
Listing = Annotated[Work, Depends(Bound("viewer", pages=True))]
Writing = Annotated[Work, Depends(Bound("member"))]
Managing = Annotated[Work, Depends(Bound("admin"))]
Session = Annotated[SessionWork, Depends(Bound("viewer", through_orm=True))]
Caller = Annotated[Principal, Depends(_Caller(*_CREDENTIAL))]  # for what takes long: it holds no connection
Operator = Annotated[Database, Depends(_Operator())]
PartsOf = Annotated[Parts, Depends(parts)]
