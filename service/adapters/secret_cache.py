"""Secrets as an event loop reads them: what was read a moment ago is not asked for again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.adapters.secret_store import SecretVersion
from service.adapters.vault_session import VaultSession

if TYPE_CHECKING:
    from service.adapters.vault import Vault


class SecretCache:
    """Reads through to Vault, each path once in `seconds` however many ask; what is not there is remembered as well."""

    def __init__(self, session: VaultSession, *, seconds: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._seconds = seconds
        self._clock = clock
        self._read: dict[str, tuple[float, asyncio.Task[SecretVersion | None]]] = {}

    async def get(self, path: str) -> SecretVersion | None:
        """The newest version at `path`, as it was some seconds ago at most. Raises VaultUnavailable."""
        at, task = self._read.get(path, (0.0, None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or self._clock() - at > self._seconds:
            task = asyncio.create_task(self.fresh(path))
            self._read[path] = (self._clock(), task)
        return await asyncio.shield(task)  # one who gives up must not end it for the others

    async def fresh(self, path: str, version: int | None = None) -> SecretVersion | None:
        """The newest version at `path`, or that one, as it is now. Raises VaultUnavailable."""
        return await self._session.run(lambda vault: _get(vault, path, version))


def _get(vault: Vault, path: str, version: int | None) -> SecretVersion | None:
    from service.adapters.vault_secrets import VaultSecrets

    return VaultSecrets(vault).get(path, version)
