"""The public keys of access tokens: read from Vault often enough to follow a rotation, seldom enough to spare it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from service.adapters.signing import Signer
from service.core.errors import VaultUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

OLD = 60.0  # seconds after which they are read again, at the latest
_PAUSE = 5.0  # between two readings, whatever unknown keys are asked for
_PAUSE_WITHOUT = 1.0  # the same while there is no key at all


class SigningKeys:
    """What has been read stays in use while Vault is away. `announced` is how long a new key waits, `clock` is monotonic."""

    def __init__(self, signer: Signer, *, announced: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._signer = signer
        self._announced = announced
        self._old = min(OLD, announced / 2) if announced else OLD  # a key is to be seen well before it signs
        self._clock = clock
        self._since: Mapping[str, float] = {}  # by kid: when it was first seen
        self._asked = self._read = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._failure: VaultUnavailable | None = None
        self.known: Mapping[str, EllipticCurvePublicKey] = {}  # by kid, oldest first

    async def find(self, kid: str) -> EllipticCurvePublicKey | None:
        """The key of that kid, None when there is none. Raises VaultUnavailable when none was ever read."""
        found = self.known.get(kid)
        if found is not None:
            self.freshen()
            return found
        await self._ask()
        self._some()
        return self.known.get(kid)

    def freshen(self) -> None:
        """Have them read in the background when they are old. Costs next to nothing when they are not."""
        now = self._clock()
        if now - self._read > self._old and now - self._asked > _PAUSE:
            self._start()

    async def current(self) -> Mapping[str, EllipticCurvePublicKey]:
        """All of them, oldest first, none older than a minute unless Vault is away. Raises VaultUnavailable."""
        if self._clock() - self._read > self._old:
            await self._ask()
        return self._some()

    async def signing(self) -> str:
        """The kid of the newest key that everybody knows by now. Raises VaultUnavailable.

        Others read the keys up to a minute after a rotation, or have them in a cache for as long. So a new key is published
        first and used when this process has seen it for `announced` seconds. Of the keys that its first reading finds,
        all but the newest count as seen long ago: each was in use before the next was made. Where every key is too young,
        the oldest signs.
        """
        kids = list(await self.current())
        now = self._clock()
        return next((kid for kid in reversed(kids) if now - self._since[kid] >= self._announced), kids[0])

    async def read_again(self) -> None:
        """Now, however young they are."""
        await asyncio.shield(self._start())

    async def _ask(self) -> None:
        """Read them, or wait for the reading that is under way; nothing so soon after the last one."""
        under_way = self._reading is not None and not self._reading.done()
        if under_way or self._clock() - self._asked > (_PAUSE if self.known else _PAUSE_WITHOUT):
            # Shielded: one caller who gives up must not end it for the others.
            await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._asked = self._clock()
            self._reading = asyncio.create_task(self._read_once())
        return self._reading

    async def _read_once(self) -> None:
        try:
            found = await self._signer.public_keys()
        except VaultUnavailable as error:
            self._failure = error
            structlog.get_logger().warning("tokens.keys_unavailable", code=error.code, reason=error.message)
            return
        now = self._clock()
        older = list(found)[:-1] if not self.known else []
        self._since = {kid: self._since.get(kid, -math.inf if kid in older else now) for kid in found}
        self._read, self._failure, self.known = now, None, found

    def _some(self) -> Mapping[str, EllipticCurvePublicKey]:
        if self.known:
            return self.known
        failure = self._failure or VaultUnavailable("Vault has no key for access tokens")
        raise VaultUnavailable(failure.message, code=failure.code, hint=failure.hint) from failure
