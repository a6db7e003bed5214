"""How each process comes into Vault, and what it finds there: shared by those that do."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from service.adapters.secret_cache import SecretCache
from service.adapters.vault_session import Handover, Identity, SecretId, VaultSession
from service.core import settings
from service.core.errors import SettingsError, VaultUnavailable
from service.core.settings import Secret, Settings
from service.core.spans import NO_SPANS, Spans
from service.services.secrets import SETTINGS

if TYPE_CHECKING:
    from service.adapters.cache import Cache
    from service.adapters.database import Database
    from service.adapters.freshness import Changes
    from service.adapters.link import Link
    from service.adapters.traces import Traces

START_PATIENCE = 30.0  # seconds that Vault may take to start


def enter(found: Settings, *, patience: float = 1.0) -> VaultSession:
    """This process's way into Vault; one that leads nowhere where there is none."""
    identity: Identity | None = None
    if found.vault_role_id and found.vault_handover:
        identity = Handover(found.vault_role_id, Path(found.vault_handover))
    elif found.vault_role_id and found.vault_secret_id:
        identity = SecretId(found.vault_role_id, found.vault_secret_id)
    return VaultSession(found.vault_addr, identity, patience=patience)


async def load(environ: Mapping[str, str], *, required: Collection[str]) -> tuple[Settings, VaultSession]:
    """The settings of this process, those that stand in Vault among them, and its way there.

    Waits for a Vault that is starting: without its settings a process would run with others than it was given. Raises
    SettingsError, VaultUnavailable.
    """
    found = settings.load(environ)
    session = enter(found)
    there: Mapping[str, str] = {}
    if session.may_enter:
        there = await _settings(session)
    try:
        return settings.load(environ, required=required, vault=there), session
    except SettingsError:
        await session.close()
        raise


def traces(found: Settings, process: str) -> Traces | None:
    """OpenTelemetry, where somebody has said where to send to. Raises SettingsError where it is not installed."""
    said = found.otel
    endpoint = said.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or said.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    off = said.get("OTEL_SDK_DISABLED", "").lower() == "true" or said.get("OTEL_TRACES_EXPORTER") == "none"
    if not endpoint or off:
        return None
    try:
        from service.adapters.traces import Traces, hand_on
    except ModuleNotFoundError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed", hint="pip install 'jeex[otel]'"
        ) from error
    hand_on(said, os.environ)
    return Traces(process, version("jeex"))


async def _settings(session: VaultSession) -> Mapping[str, str]:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            stored = await SecretCache(session).fresh(SETTINGS)
        except VaultUnavailable as error:
            passes = error.code in (VaultUnavailable.SEALED, VaultUnavailable.UNREACHABLE)
            if not passes or time.monotonic() > deadline:
                raise
            structlog.get_logger().info("vault.awaited", reason=error.message)
            await asyncio.sleep(0.5)
        else:
            return stored.values if stored else {}


def cached(found: Settings, link: Link | None) -> Cache | None:
    """Copies of what is read most, where there is a Redis to keep them in and nobody has said no."""
    if link is None or found.cache == "off":
        return None
    from service.adapters.cache import Cache

    return Cache(link, ttl=found.cache_ttl, absent_ttl=found.cache_absent_ttl, limit=found.cache_value_limit)


def pool(
    found: Settings,
    session: VaultSession,
    name: str,
    url: Secret,
    size: int,
    *,
    process: str = "jeex-api",
    changes: Changes | None = None,
    spans: Spans = NO_SPANS,
) -> Database:
    """A pool of connections, none made before it is asked for. A URL that names nobody has Vault say who, by `name`."""
    # SQLAlchemy takes half a second, which processes without a database should not wait for.
    from service.adapters.database import Database
    from service.services import upkeep

    return Database(
        url,
        pool_size=size,
        timeout=found.database_timeout,
        statement_timeout=found.database_statement_timeout,
        pooler=found.database_pooler,
        name=process,
        logins=None if urlsplit(url.reveal()).username else upkeep.vault_logins(session, name),
        changes=changes,
        spans=spans,
    )
