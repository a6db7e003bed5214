"""`python -m service api`: the HTTP API, until told to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from migrations import revisions
from service.adapters.database import Database
from service.api.app import create_app
from service.api.dependencies import Parts
from service.api.server import Draining, serve
from service.core import logs, settings
from service.core.settings import Settings
from service.services.system import Probe, Seen

if TYPE_CHECKING:
    from service.adapters.cache import Cache
    from service.adapters.vault import Vault


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    found = settings.load(environ, required=("DATABASE_URL",))
    logs.configure(found.log_level, "api")
    draining = Draining()
    database = Database(found.database_url, pool_size=found.database_pool_size, timeout=found.database_timeout)
    backends = Backends(found)
    parts = Parts(
        database=database,
        probes=probes(database, backends, found),
        draining=draining,
        head=revisions.head(),
        version=version("jeex"),
    )

    async def close() -> None:
        await backends.close()
        await database.close()

    app = create_app(parts, cors_origins=found.cors_origins, close=close)
    return serve(app, host=found.api_host, port=found.api_port, draining=draining, drain=found.drain_seconds)


class Backends:
    """Redis and Vault, loaded when first asked: the API starts without them, and their clients are slow to import."""

    def __init__(self, found: Settings) -> None:
        self._settings = found
        self._cache: Cache | None = None
        self._vault: Vault | None = None

    def load(self) -> None:
        """Import the clients; call it from a thread."""
        from service.adapters.cache import Cache
        from service.adapters.vault import Vault

        self._cache = self._cache or Cache(self._settings.redis_url)
        self._vault = self._vault or Vault(self._settings.vault_addr, timeout=0.5, patience=0)

    async def redis(self) -> Seen:
        """Ask Redis. Raises Unavailable."""
        if self._cache is None:
            await asyncio.to_thread(self.load)
        assert self._cache is not None  # noqa: S101 - load() has made it
        return Seen(await self._cache.version())

    async def vault(self) -> Seen:
        """Ask Vault. Raises Unavailable."""
        if self._vault is None:
            await asyncio.to_thread(self.load)
        assert self._vault is not None  # noqa: S101 - load() has made it
        return Seen(await asyncio.to_thread(self._vault.version))

    async def close(self) -> None:
        """Give up the connections that were made."""
        if self._cache is not None:
            await self._cache.close()
        if self._vault is not None:
            self._vault.close()


def probes(database: Database, backends: Backends, found: Settings) -> tuple[Probe, ...]:
    """What /api/v1/system/status asks, those parts that this installation has."""
    started = time.monotonic()

    async def api() -> Seen:
        return Seen(version("jeex"), f"up for {time.monotonic() - started:.0f} s")

    async def postgresql() -> Seen:
        schema = await database.schema()
        return Seen(schema.server_version, f"schema {schema.revision}" if schema.revision else "not migrated")

    asked = [Probe("api", api, vital=True), Probe("postgresql", postgresql, vital=True)]
    if found.redis_url:
        asked.append(Probe("redis", backends.redis))
    if found.vault_addr:
        asked.append(Probe("vault", backends.vault))
    return tuple(asked)
