"""`python -m service worker`: what is done without being asked for, until told to end. For now: rotating what is due."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from service.adapters.vault_session import VaultSession
from service.commands import entrance
from service.core import logs, settings
from service.core.errors import VaultUnavailable
from service.core.settings import Settings

if TYPE_CHECKING:
    from service.adapters.vault import Vault

EVERY = 60.0  # seconds between two looks at what is due; a look at ages of days need not be oftener


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    logs.configure(settings.load(environ).log_level, "worker")
    return asyncio.run(_work(environ))


async def _work(environ: Mapping[str, str]) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    log = structlog.get_logger()
    starting = asyncio.ensure_future(entrance.load(environ, required=("VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_HANDOVER")))
    waiting = asyncio.ensure_future(ended.wait())
    await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return 0
    try:
        found, session = starting.result()
    except VaultUnavailable as error:
        log.error("worker.failed", code=error.code, reason=error.message, hint=error.hint)
        return 1
    log.info("worker.started")
    while not ended.is_set():
        await _look(session, found)
        _beat(found.heartbeat_file)
        await asyncio.wait([waiting], timeout=min(EVERY, found.vault_poll * 4))
    await session.close()
    log.info("worker.ended")
    return 0


def _beat(file: str) -> None:
    """Say that this process still works, whether or not Vault did: its healthcheck looks at the file's age."""
    if not file:
        return
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch(mode=0o600)
    except OSError as error:
        structlog.get_logger().warning("worker.heartbeat", reason=f"{file}: {error.strerror}")


async def _look(session: VaultSession, found: Settings) -> None:
    log = structlog.get_logger()
    try:
        await session.keep()
        for kind in await session.run(lambda vault: _rotate_due(vault, found)):
            log.info("rotation.done", kind=kind)
    except VaultUnavailable as error:
        log.warning("rotation.failed", code=error.code, reason=error.message)


def _rotate_due(vault: Vault, found: Settings) -> list[str]:
    from service.adapters.vault_keys import VaultKeys
    from service.adapters.vault_logins import VaultLogins
    from service.adapters.vault_secrets import VaultSecrets
    from service.services.rotation import Rotation

    rotation = Rotation(VaultSecrets(vault), VaultKeys(vault), VaultLogins(vault), announced=found.jwt_announced)
    return rotation.rotate_due(found.rotate_after)
