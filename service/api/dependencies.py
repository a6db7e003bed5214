"""What endpoints ask for: the application's parts, who calls, and a transaction of that caller's tenant.

`Reading`, `Listing`, `Writing` and `Managing` are a transaction bound to the tenant that the credential proves, for callers
who have the role; `HotReading` and `HotListing` are one only where the cache does not know. Nothing else in a request, no
header, path, query or body, says which tenant it is about.
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
from service.adapters.metrics import Metrics
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
from service.services.reading import Direct, Reads
from service.services.reading import Reading as HotReads
from service.services.system import Lease, Report
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
    metrics: Metrics
    metrics_token: Secret  # whoever has it may read them; without it nobody
    oauth: OAuthProviders
    report: Report
    leases: Callable[[], list[Lease]]  # what this process holds of Vault's
    queue: Queue
    feed: JobFeed
    draining: Draining
    head: str  # revision of the schema that this code needs
    reading: HotReads | None  # what is read most; None where there is no cache
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

    def __init__(self, role: str, *, pages: bool = False, through_orm: bool = False, hot: bool = False) -> None:
        super().__init__(*_CREDENTIAL)
        self.role = role
        self.pages = pages
        self.through_orm = through_orm
        self.hot = hot

    async def __call__(self, request: Request) -> Work | SessionWork | Reads:
        found: Work | SessionWork | Reads = request.scope[_WORK]
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
                request.scope[_WORK] = Direct(driver, caller.tenant_id) if bound.hot else Work(caller, driver)
                return await inner(request)

        async def through_cache(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            if parts.reading is None or not parts.reading.usable:
                return await through_driver(request)
            who = await presented(request, parts)
            # No connection is held while Redis is asked: where that hangs, PostgreSQL must not seem to.
            if isinstance(who, Principal) and parts.recent.knows(who):
                caller = recognised(request, who)
            else:
                async with parts.database.direct(who.tenant_id) as driver:
                    caller = await proved(request, parts, who, driver)
            caller.require(bound.role)
            request.scope[_WORK] = parts.reading.of(caller.tenant_id)
            return await inner(request)

        async def through_session(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            who = await presented(request, parts)
            async with parts.database.transaction(who.tenant_id) as session:
                caller = await proved(request, parts, who, await driver_of(session))
                caller.require(bound.role)
                request.scope[_WORK] = SessionWork(caller, session)
                return await inner(request)

        return through_session if bound.through_orm else through_cache if bound.hot else through_driver


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
        text = credential(request)
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
    text = credential(request)
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
        forgotten = parts.recent.forgotten
        await authentication.still(driver, who)
        parts.recent.add(who, forgotten=forgotten)
    return recognised(request, who)


def recognised(request: Request, caller: Principal) -> Principal:
    """The caller, of whom the logs know from now on."""
    request_info(request.scope).tenant = caller.tenant_slug
    structlog.contextvars.bind_contextvars(tenant=caller.tenant_slug)
    return caller


async def held_until(request: Request, parts: Parts) -> float | None:
    """When the request's token ends, in seconds since the epoch; None for an API key. Raises Unauthenticated."""
    text = credential(request)
    return None if text.startswith("jx_") else (await parts.tokens.verify(text)).expires_at.timestamp()


def credential(request: Request) -> str:
    """What stands in the Authorization header. Raises Unauthenticated."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated("this needs a credential", hint="send it as: Authorization: Bearer jx_...")
    return text.strip()


Reading = Annotated[Work, Depends(Bound("viewer"))]
Listing = Annotated[Work, Depends(Bound("viewer", pages=True))]
HotReading = Annotated[Reads, Depends(Bound("viewer", hot=True))]
HotListing = Annotated[Reads, Depends(Bound("viewer", pages=True, hot=True))]
Writing = Annotated[Work, Depends(Bound("member"))]
Managing = Annotated[Work, Depends(Bound("admin"))]
Session = Annotated[SessionWork, Depends(Bound("viewer", through_orm=True))]
Caller = Annotated[Principal, Depends(_Caller(*_CREDENTIAL))]  # for what takes long: it holds no connection
Operator = Annotated[Database, Depends(_Operator())]
PartsOf = Annotated[Parts, Depends(parts)]
