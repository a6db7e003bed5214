"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from migrations import revisions
from service.adapters import due_jobs
from service.adapters.database import Database
from service.adapters.secret_cache import SecretCache
from service.adapters.signing import TransitSigner
from service.adapters.vault_session import VaultSession
from service.api.app import create_app
from service.api.dependencies import Parts
from service.api.limits import RateLimiter
from service.api.server import Draining, serve
from service.commands import entrance
from service.core import logs, settings
from service.core.errors import VaultUnavailable
from service.core.settings import Settings
from service.services import upkeep
from service.services.authentication import Recent
from service.services.job_feed import JobFeed
from service.services.jobs import PostgresQueue
from service.services.oauth import OAuthProviders
from service.services.passwords import Passwords
from service.services.peppers import Peppers
from service.services.secrets import PEPPER
from service.services.system import Probe, Report, Seen
from service.services.tokens import Tokens

if TYPE_CHECKING:
    from service.adapters.cache import Cache
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
    database = entrance.pool(found, session, "app", found.database_url, found.database_pool_size)
    administration = None
    if found.database_admin_url:
        administration = entrance.pool(found, session, "admin", found.database_admin_url, ADMINISTRATION)
    # Behind a transaction pooler nobody is told anything: who watches jobs looks each second.
    ear = entrance.pool(found, session, "app", found.database_url, 1) if found.database_pooler != "transaction" else None
    cache, vault = late_cache(found), late_vault(found)
    secrets = SecretCache(session)
    parts = Parts(
        database=database,
        administration=administration,
        tokens=Tokens(TransitSigner(session), announced=found.jwt_announced),
        passwords=Passwords(Peppers(lambda version: secrets.fresh(PEPPER, version)) if session.may_enter else None),
        recent=Recent(),
        limiter=RateLimiter(found.rate_limit),
        attempts=RateLimiter(ATTEMPTS),
        admin_key=found.admin_key,
        oauth=OAuthProviders(secrets),
        report=Report(probes(found, session, database, administration, cache=cache, vault=vault)),
        queue=PostgresQueue(),
        feed=JobFeed(database, ear),
        draining=Draining(),
        head=revisions.head(),
        version=version("jeex"),
        instance=found.instance_id,
    )
    pools = [one for one in (database, administration, ear) if one is not None]

    async def close() -> None:
        if cache.made is not None:
            await cache.made.close()
        if vault.made is not None:
            vault.made.close()
        for one in pools:
            await one.close()
        await session.close()

    def background() -> Coroutine[None, None, None]:
        return upkeep.keep(session, pools, poll=found.vault_poll)

    app = create_app(parts, found, close=close, background=background if session.may_enter else None)
    gc.collect()
    gc.freeze()  # what has been made by now stays: to look through it again and again would be a tenth of all work
    return serve(app, host=found.api_host, port=found.api_port, draining=parts.draining, drain=found.drain_seconds)


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


def late_cache(found: Settings) -> Late[Cache]:
    """Redis, for the status report."""

    def make() -> Cache:
        from service.adapters.cache import Cache

        return Cache(found.redis_url)

    return Late(make)


def late_vault(found: Settings) -> Late[Vault]:
    """Vault, for the status report: without patience, for it is asked again soon."""

    def make() -> Vault:
        from service.adapters.vault import Vault

        return Vault(found.vault_addr, timeout=0.5, patience=0)

    return Late(make)


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
    session: VaultSession,
    database: Database,
    administration: Database | None,
    *,
    cache: Late[Cache],
    vault: Late[Vault],
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
        return Seen(await (await cache.get()).version())

    async def secrets() -> Seen:
        return Seen(await asyncio.to_thread((await vault.get()).version))

    asked = [Probe("api", api, vital=True), Probe("postgresql", postgresql, vital=True)]
    if found.redis_url:
        asked.append(Probe("redis", redis))
    if found.vault_addr:
        asked.append(Probe("vault", secrets))
    if administration is not None:
        asked.append(Probe("queue", queue(administration)))
    return tuple(asked)
