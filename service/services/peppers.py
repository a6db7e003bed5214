"""What passwords are mixed with before they are hashed: a secret that is not in the database, so that a copy of the database
alone is no good for guessing them.

Every version that ever was is kept, for what is stored says which one it was made with.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.adapters.secret_store import SecretVersion
from service.core.errors import VaultUnavailable
from service.core.settings import Secret

_FRESH = 60.0  # seconds that the newest one counts as the newest


@dataclass(frozen=True, slots=True)
class Pepper:
    """One version."""

    version: int
    value: Secret


class Peppers:
    """`read` gives a version, None for the newest; it raises VaultUnavailable. What was read stays in use without Vault."""

    def __init__(
        self,
        read: Callable[[int | None], Awaitable[SecretVersion | None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[int, Pepper] = {}
        self._asked = float("-inf")
        self.newest = 0  # as far as is known

    async def current(self) -> Pepper:
        """The newest, as of a minute ago at most; while Vault is away, the newest that is known. Raises VaultUnavailable."""
        if self._clock() - self._asked > _FRESH:
            try:
                self.newest = (await self._get(None)).version
                self._asked = self._clock()
            except VaultUnavailable:
                if not self.newest:
                    raise
        return self._known[self.newest]

    async def of(self, version: int) -> Pepper:
        """That version. Raises VaultUnavailable."""
        known = self._known.get(version) or await self._get(version)
        self.newest = max(self.newest, version)
        return known

    async def _get(self, version: int | None) -> Pepper:
        found = await self._read(version)
        if found is None:
            raise VaultUnavailable(
                "Vault does not have the pepper of passwords", code="VAULT_PEPPER_MISSING", hint="run the seed process"
            )
        pepper = Pepper(found.version, Secret(found.values["pepper"]))
        self._known[pepper.version] = pepper
        return pepper
