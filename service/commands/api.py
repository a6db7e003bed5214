"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

import structlog

from migrations import revisions
from service.adapters.cache import Cache
from service.adapters.database import Database
from service.adapters.freshness import Changes
from service.adapters.link import Link
from service.adapters.metrics import Metrics, of_cache, of_pools, of_vault
from service.adapters.secret_cache import SecretCache
from service.adapters.signing import TransitSigner
from service.adapters.vault_session import VaultSession
from service.api.app import create_app
from service.api.dependencies import Parts
from service.api.limits import RateLimiter
from service.api.observing import Tracing
from service.api.server import Draining, serve
from service.commands import entrance
from service.core import logs, settings
from service.core.errors import VaultUnavailable
from service.core.settings import Secret, Settings
from service.core.spans import NO_SPANS, Spans
from service.services import upkeep
from service.services.authentication import Recent
from service.services.oauth import OAuthProviders
from service.services.passwords import Passwords
from service.services.peppers import Peppers
from service.services.reading import Reading
from service.services.secrets import PEPPER
from service.services.system import Probe, Report, Seen
from service.services.tokens import Tokens

if TYPE_CHECKING:
    from service.adapters.vault import Vault

Client = TypeVar("Client")
ADMINISTRATION = 3  # connections
ATTEMPTS = 10  # to sign in, a minute and address


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    logs.configure(settings.load(environ).log_level, "api")
    try:
        found, session = asyncio.run(entrance.load(environ, required=("DATABASE_URL",)))
    except VaultUnavailable as error:
        structlog.get_logger().error("api.failed", code=error.code, reason=error.message, hint=error.hint)
        return 1
    traces = entrance.traces(found, "api")
    spans: Spans = traces or NO_SPANS
    session.spans = spans
    link = Link(found.redis_url, timeout=found.redis_timeout, spans=spans) if found.redis_url else None
    cache = cached(found, link)
    pooled = partial(pool, found, session, changes=cache, spans=spans)
    database = pooled("app", found.database_url, found.database_pool_size)
    administration = None
    if found.database_admin_url:
        administration = pooled("admin", found.database_admin_url, ADMINISTRATION)
    vault = late_vault(found)
    secrets = SecretCache(session)
    metrics = measured({"app": database, "admin": administration}, cache, session)
    parts = Parts(
        database=database,
        administration=administration,
        tokens=Tokens(TransitSigner(session), announced=found.jwt_announced),
        passwords=Passwords(Peppers(lambda version: secrets.fresh(PEPPER, version)) if session.may_enter else None),
        recent=Recent(),
        limiter=RateLimiter(found.rate_limit),
        attempts=RateLimiter(ATTEMPTS),
        admin_key=found.admin_key,
        metrics=metrics,
        metrics_token=found.metrics_token,
        oauth=OAuthProviders(secrets),
        report=Report(probes(database, link, vault, found, session)),
        draining=Draining(),
        head=revisions.head(),
        reading=Reading(cache, database) if cache is not None else None,
        version=version("jeex"),
        instance=found.instance_id,
    )
    pools = [one for one in (database, administration) if one is not None]

    async def close() -> None:
        if cache is not None:
            await cache.close()
        if link is not None:
            await link.close()
        if vault.made is not None:
            vault.made.close()
        for one in pools:
            await one.close()
        await session.close()
        if traces is not None:
            await asyncio.to_thread(traces.close)

    background: list[Callable[[], Coroutine[None, None, None]]] = []
    if session.may_enter:
        background.append(lambda: upkeep.keep(session, pools, poll=found.vault_poll))
    if cache is not None:
        background.append(cache.keep)

    app = create_app(
        parts, found, close=close, background=background, observers=[Tracing(traces)] if traces is not None else []
    )
    gc.collect()
    gc.freeze()  # what has been made by now stays: to look through it again and again would be a tenth of all work
    return serve(app, host=found.api_host, port=found.api_port, draining=parts.draining, drain=found.drain_seconds)


def cached(found: Settings, link: Link | None) -> Cache | None:
    """Copies of what is read most, where there is a Redis to keep them in and nobody has said no."""
    if link is None or found.cache == "off":
        return None
    return Cache(link, ttl=found.cache_ttl, absent_ttl=found.cache_absent_ttl, limit=found.cache_value_limit)


def pool(
    found: Settings,
    session: VaultSession,
    name: str,
    url: Secret,
    size: int,
    *,
    changes: Changes | None = None,
    spans: Spans = NO_SPANS,
) -> Database:
    """A pool of connections, none made before it is asked for. A URL that names nobody has Vault say who, by `name`."""
    return Database(
        url,
        pool_size=size,
        timeout=found.database_timeout,
        statement_timeout=found.database_statement_timeout,
        pooler=found.database_pooler,
        logins=None if urlsplit(url.reveal()).username else upkeep.vault_logins(session, name),
        changes=changes,
        spans=spans,
    )


def measured(pools: Mapping[str, Database | None], cache: Cache | None, session: VaultSession) -> Metrics:
    """What this process tells of itself."""
    found = Metrics()
    found.watch(of_pools({name: one for name, one in pools.items() if one is not None}))
    found.watch(of_vault(session))
    if cache is not None:
        found.watch(of_cache(cache))
    return found


class Late(Generic[Client]):
    """A client that is made when first asked for, in a thread: the API starts without it, and its import is slow."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self.made: Client | None = None

    async def get(self) -> Client:
        """The client; one and the same however many ask at once."""
        async with self._lock:
            if self.made is None:
                self.made = await asyncio.to_thread(self._make)
        return self.made


def late_vault(found: Settings) -> Late[Vault]:
    """Vault, for the status report: without patience, for it is asked again soon."""

    def make() -> Vault:
        from service.adapters.vault import Vault

        return Vault(found.vault_addr, timeout=0.5, patience=0)

    return Late(make)


def probes(
    database: Database, link: Link | None, vault: Late[Vault], found: Settings, session: VaultSession
) -> tuple[Probe, ...]:
    """What /api/v1/system/status asks, those parts that this installation has."""
    started = time.monotonic()

    async def api() -> Seen:
        parts = [f"up for {time.monotonic() - started:.0f} s"]
        # How long its way in is still good for: where it is not renewed in time, `jeex doctor` says so.
        if session.token is not None:
            parts.append("Vault token {:.0f} of {:.0f} s".format(*session.token))
        if database.login is not None:
            parts.append(f"database login {database.login.left:.0f} of {database.login.holds:.0f} s")
        return Seen(version("jeex"), ", ".join(parts))

    async def postgresql() -> Seen:
        schema = await database.schema()
        return Seen(schema.server_version, f"schema {schema.revision}" if schema.revision else "not migrated")

    async def redis() -> Seen:
        assert link is not None  # noqa: S101 - asked only where there is one
        return Seen(await link.version())

    async def secrets() -> Seen:
        return Seen(await asyncio.to_thread((await vault.get()).version))

    asked = [Probe("api", api, vital=True), Probe("postgresql", postgresql, vital=True)]
    if link is not None:
        asked.append(Probe("redis", redis))
    if found.vault_addr:
        asked.append(Probe("vault", secrets))
    return tuple(asked)
