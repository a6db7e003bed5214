"""`python -m service worker`: what is done without being waited for, until told to end: jobs, and rotating what is due.

Each goes on without the other: secrets are rotated while PostgreSQL or Redis is away, jobs are done while Vault is.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from service.adapters.due_jobs import Depth
from service.adapters.vault_session import VaultSession
from service.commands import entrance, worker_queue
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
    starting = asyncio.ensure_future(entrance.load(environ, required=_required(settings.load(environ))))
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
    beat = _Beat(found.heartbeat_file)
    tasks = []
    if found.database_url:
        tasks.append(asyncio.create_task(worker_queue.work(found, session, ended, beat.counted)))
    if session.may_enter:
        tasks.append(asyncio.create_task(_rotate(session, found, ended, beat)))
    log.info("worker.started", queue=bool(found.database_url), rotation=session.may_enter)
    try:
        async with asyncio.TaskGroup() as group:  # should one of them fail, this process ends, and is started again
            for task in tasks:
                group.create_task(_joined(task))
    finally:
        waiting.cancel()
        await session.close()
    log.info("worker.ended")
    return 0


async def _joined(task: asyncio.Task[None]) -> None:
    await task


def _required(found: Settings) -> tuple[str, ...]:
    """What this worker cannot do without: the database, the way into Vault, or both."""
    vault = ("VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_HANDOVER")
    if not found.database_url:
        return vault
    return ("DATABASE_ADMIN_URL", *(() if found.queue_key else vault))


class _Beat:
    """Says that this process still works, whether or not anything else does, and how long the queue is.

    The healthcheck looks at the file's age, `jeex status` at what it says.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file) if file else None
        self._depth: Depth | None = None

    def counted(self, depth: Depth) -> None:
        """The queue is so long now."""
        self._depth = depth
        self.write()

    def write(self) -> None:
        """Write the file anew, as a whole."""
        if self._file is None:
            return
        found = {"at": round(time.time(), 3)}
        if self._depth is not None:
            found |= {"waiting": self._depth.waiting, "running": self._depth.running, "oldest": round(self._depth.oldest, 1)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_name(f".{self._file.name}.new")
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(found))
            fresh.replace(self._file)
        except OSError as error:
            structlog.get_logger().warning("worker.heartbeat", reason=f"{self._file}: {error.strerror}")


async def _rotate(session: VaultSession, found: Settings, ended: asyncio.Event, beat: _Beat) -> None:
    while not ended.is_set():
        await _look(session, found)
        beat.write()
        try:
            async with asyncio.timeout(min(EVERY, found.vault_poll * 4)):
                await ended.wait()
        except TimeoutError:
            pass


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
