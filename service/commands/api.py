"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from migrations import revisions
from service.adapters import due_jobs
from service.adapters.cache import Cache
from service.adapters.database import Database
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
from service.core.settings import Settings
from service.core.spans import NO_SPANS, Spans
from service.services import tenant_watch, upkeep
from service.services.authentication import Recent
from service.services.job_feed import JobFeed
from service.services.jobs import PostgresQueue
from service.services.oauth import OAuthProviders
from service.services.passwords import Passwords
from service.services.peppers import Peppers
from service.services.reading import Reading
from service.services.secrets import PEPPER
from service.services.system import Lease, Probe, Report, Seen
from service.services.tokens import Tokens

if TYPE_CHECKING:
    from service.adapters.vault import Vault

Client = TypeVar("Client")
ADMINISTRATION = 3  # connections
UNHEARD = 1.0  # seconds that a token is not looked up again where nobody is told that its tenant was suspended
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
    cache = entrance.cached(found, link)
    pooled = partial(entrance.pool, found, session, changes=cache, spans=spans)
    database = pooled("app", found.database_url, found.database_pool_size)
    administration = None
    if found.database_admin_url:
        administration = pooled("admin", found.database_admin_url, ADMINISTRATION)
    # Behind a transaction pooler nobody is told anything: who watches jobs looks each second.
    ear = entrance.pool(found, session, "app", found.database_url, 1) if found.database_pooler != "transaction" else None
    # Always open, and of its own: whoever is suspended is refused at once, also where nobody watches jobs.
    tenants_ear = entrance.pool(found, session, "app", found.database_url, 1) if ear is not None else None
    recent = Recent() if tenants_ear is not None else Recent(UNHEARD)
    vault = late_vault(found)
    secrets = SecretCache(session)
    metrics = measured({"app": database, "admin": administration}, cache, session)
    if administration is not None:
        metrics.queue = _Jobs(administration)
    parts = Parts(
        database=database,
        administration=administration,
        tokens=Tokens(TransitSigner(session), announced=found.jwt_announced),
        passwords=Passwords(Peppers(lambda version: secrets.fresh(PEPPER, version)) if session.may_enter else None),
        recent=recent,
        limiter=RateLimiter(found.rate_limit),
        attempts=RateLimiter(ATTEMPTS),
        admin_key=found.admin_key,
        metrics=metrics,
        metrics_token=found.metrics_token,
        oauth=OAuthProviders(secrets),
        report=Report(probes(found, database, administration, link=link, vault=vault)),
        leases=lambda: leases(database, session),
        queue=PostgresQueue(),
        feed=JobFeed(database, ear),
        draining=Draining(),
        head=revisions.head(),
        reading=Reading(cache, database) if cache is not None else None,
        version=version("jeex"),
        instance=found.instance_id,
    )
    pools = [one for one in (database, administration, ear, tenants_ear) if one is not None]

    async def close() -> None:
        if cache is not None:
            await cache.close()
        if link is not None:
            await link.close()
        if vault.made is not None:
            vault.made.close()
        await asyncio.gather(*(one.close() for one in pools))  # each gives a login back, for which Vault has to work
        await session.close()
        if traces is not None:
            await asyncio.to_thread(traces.close)

    background: list[Callable[[], Coroutine[None, None, None]]] = []
    if session.may_enter:
        background.append(lambda: upkeep.keep(session, pools, poll=found.vault_poll))
    if cache is not None:
        background.append(cache.keep)
    if tenants_ear is not None:
        background.append(partial(tenant_watch.keep, tenants_ear, recent))

    app = create_app(
        parts, found, close=close, background=background, observers=[Tracing(traces)] if traces is not None else []
    )
    gc.collect()
    gc.freeze()  # what has been made by now stays: to look through it again and again would be a tenth of all work
    return serve(app, host=found.api_host, port=found.api_port, draining=parts.draining, drain=found.drain_seconds)


class _Jobs:
    """How many jobs of all tenants are to be done, for the metrics."""

    def __init__(self, administration: Database) -> None:
        self._administration = administration

    async def depth(self) -> Mapping[str, int]:
        """See QueueDepth."""
        async with self._administration.direct() as driver:
            found = await due_jobs.depth(driver)
        return {"queued": found.waiting, "running": found.running}


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


def leases(database: Database, session: VaultSession) -> list[Lease]:
    """What this process holds for a time. Where it is not renewed, `jeex doctor` says so."""
    found = [Lease("Vault token", *session.token)] if session.token is not None else []
    if database.login is not None:
        found.append(Lease("database login", database.login.left, database.login.holds))
    return found


def queue(administration: Database) -> Callable[[], Awaitable[Seen]]:
    """How long the queue is. Of the workers it tells how long the oldest job has waited for one."""

    async def look() -> Seen:
        async with administration.direct() as driver:
            found = await due_jobs.depth(driver)
        late = f", the oldest for {found.oldest:.0f} s" if found.oldest >= 1 else ""
        return Seen("", f"{found.waiting} waiting{late}, {found.running} running")

    return look


def probes(
    found: Settings,
    database: Database,
    administration: Database | None,
    *,
    link: Link | None,
    vault: Late[Vault],
) -> tuple[Probe, ...]:
    """What /api/v1/system/status asks, those parts that this installation has."""
    started = time.monotonic()

    async def api() -> Seen:
        return Seen(version("jeex"), f"up for {time.monotonic() - started:.0f} s")

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
    if administration is not None:
        asked.append(Probe("queue", queue(administration)))
    return tuple(asked)
