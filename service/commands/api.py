"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar

from migrations import revisions
from service.adapters.database import Database
from service.api.app import create_app
from service.api.dependencies import Parts
from service.api.server import Draining, serve
from service.core import logs, settings
from service.core.settings import Settings
from service.services.system import Probe, Report, Seen

if TYPE_CHECKING:
    from service.adapters.cache import Cache
    from service.adapters.vault import Vault

Client = TypeVar("Client")


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    found = settings.load(environ, required=("DATABASE_URL",))
    logs.configure(found.log_level, "api")
    draining = Draining()
    database = Database(found.database_url, pool_size=found.database_pool_size, timeout=found.database_timeout)
    cache, vault = late_cache(found), late_vault(found)
    parts = Parts(
        database=database,
        report=Report(probes(database, cache, vault, found)),
        draining=draining,
        head=revisions.head(),
        version=version("jeex"),
    )

    async def close() -> None:
        if cache.made is not None:
            await cache.made.close()
        if vault.made is not None:
            vault.made.close()
        await database.close()

    app = create_app(parts, cors_origins=found.cors_origins, close=close)
    return serve(app, host=found.api_host, port=found.api_port, draining=draining, drain=found.drain_seconds)


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
    """Vault, for the status report: short of patience, for it is asked again soon."""

    def make() -> Vault:
        from service.adapters.vault import Vault

        return Vault(found.vault_addr, timeout=0.5, patience=0)

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
