"""The database as the role that administers tenants, for what takes long or changes what the API keeps copies of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jeex_cli.ops import database
from jeex_cli.ops.failures import translated
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.cache import Cache
    from service.adapters.database import Database
    from service.adapters.freshness import Scope

T = TypeVar("T")

_LONG = 6 * 3600.0  # seconds for one statement: a tenant may be large
_REDIS = 5.0  # seconds: a command has more patience than a request


def work(session: Session, what: Callable[[Database], Awaitable[T]], hints: Mapping[str, str] | None = None) -> T:
    """What `what` answers, given a database whose changes the API's copies in Redis hear of before they are committed."""
    from service.core import correlation

    async def run() -> T:
        with correlation.bound(trace_id=session.trace_id):
            async with _database(session) as found:
                return await what(found)

    with translated(hints):
        return asyncio.run(run())


class _Told:
    """The copies in Redis. What they cannot be told of is not done: this process ends, and could not make up for it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def announce(self, scopes: frozenset[Scope]) -> bool:
        from service.core.errors import RedisUnavailable

        if not await self._cache.announce(scopes):
            raise RedisUnavailable(
                "Redis cannot be told that copies of this tenant's rows are outdated; nothing was changed"
            )
        return True

    async def done(self, scopes: frozenset[Scope], *, announced: bool) -> None:
        await self._cache.done(scopes, announced=announced)


@asynccontextmanager
async def _database(session: Session) -> AsyncIterator[Database]:
    from service.adapters.cache import Cache
    from service.adapters.database import Database
    from service.adapters.link import Link
    from service.core.errors import RedisUnavailable
    from service.core.settings import Secret

    url, api = Secret(database.url(session, "admin")), session.stack.host_environment("api")
    direct = partial(Database, url, pool_size=1, statement_timeout=_LONG, name="jeex-cli")
    if api.get("CACHE") == "off":  # there are no copies
        async with direct() as found:
            yield found
        return
    link = Link(Secret(api["REDIS_URL"]), timeout=_REDIS)
    try:
        # The link believes nothing before it has been answered. Where no copy is outdated by what is done, Redis is not
        # needed; else _Told speaks up.
        with suppress(RedisUnavailable):
            await link.call("PING")
            link.breaker.close()
        async with direct(changes=_Told(Cache(link))) as found:
            yield found
    finally:
        await link.close()
