"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar

from migrations import revisions
from service.adapters.database import Database
from service.adapters.signing import TransitSigner
from service.api.app import create_app
from service.api.dependencies import Parts
from service.api.limits import RateLimiter
from service.api.server import Draining, serve
from service.core import logs, settings
from service.core.settings import Secret, Settings
from service.services.authentication import Recent
from service.services.passwords import Passwords
from service.services.system import Probe, Report, Seen
from service.services.tokens import Tokens

if TYPE_CHECKING:
    from service.adapters.cache import Cache
    from service.adapters.vault import Vault

Client = TypeVar("Client")
ADMINISTRATION = 3  # connections
ATTEMPTS = 10  # to sign in, a minute and address
SIGNING_PATIENCE = 1.0  # seconds


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    found = settings.load(environ, required=("DATABASE_URL",))
    logs.configure(found.log_level, "api")
    database = pool(found, found.database_url, found.database_pool_size)
    administration = pool(found, found.database_admin_url, ADMINISTRATION) if found.database_admin_url else None
    cache, vault, signing = late_cache(found), late_vault(found), late_vault(found, patience=SIGNING_PATIENCE)
    parts = Parts(
        database=database,
        administration=administration,
        tokens=Tokens(TransitSigner(signing.get, found.vault_role_id, found.vault_secret_id)),
        passwords=Passwords(),
        recent=Recent(),
        limiter=RateLimiter(found.rate_limit),
        attempts=RateLimiter(ATTEMPTS),
        admin_key=found.admin_key,
        report=Report(probes(database, cache, vault, found)),
        draining=Draining(),
        head=revisions.head(),
        version=version("jeex"),
    )

    async def close() -> None:
        if cache.made is not None:
            await cache.made.close()
        for one in (vault, signing):
            if one.made is not None:
                one.made.close()
        await database.close()
        if administration is not None:
            await administration.close()

    app = create_app(parts, found, close=close)
    gc.collect()
    gc.freeze()  # what has been made by now stays: to look through it again and again would be a tenth of all work
    return serve(app, host=found.api_host, port=found.api_port, draining=parts.draining, drain=found.drain_seconds)


def pool(found: Settings, url: Secret, size: int) -> Database:
    """A pool of connections as the role of `url`; none is made before it is asked for."""
    return Database(
        url,
        pool_size=size,
        timeout=found.database_timeout,
        statement_timeout=found.database_statement_timeout,
        pooler=found.database_pooler,
    )


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


def late_vault(found: Settings, *, patience: float = 0.0) -> Late[Vault]:
    """Vault: without patience for the status report, for it is asked again soon; with a little to sign."""

    def make() -> Vault:
        from service.adapters.vault import Vault

        return Vault(found.vault_addr, timeout=0.5, patience=patience)

    return Late(make)


def probes(database: Database, cache: Late[Cache], vault: Late[Vault], found: Settings) -> tuple[Probe, ...]:
    """What /api/v1/system/status asks, those parts that this installation has."""
    started = time.monotonic()

    async def api() -> Seen:
        return Seen(version("jeex"), f"up for {time.monotonic() - started:.0f} s")

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
    return tuple(asked)
