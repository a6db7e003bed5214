"""Logins of PostgreSQL's that end: which one new connections of a pool use, and when the next one takes its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from service.core.errors import VaultUnavailable
from service.core.settings import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """A login and its lease. `holds` is in seconds from `since`, which is of the monotonic clock.

    `turn` counts rotations: a login of an earlier turn than the present one is to be given back.
    """

    lease_id: str
    user: str
    password: Secret
    holds: float
    turn: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until it ends; below 0 it has."""
        return self.since + self.holds - time.monotonic()

    @property
    def is_old(self) -> bool:
        """Whether half of its time is over: the other half is for a Vault that is away."""
        return time.monotonic() - self.since > self.holds / 2


class Logins:
    """The login of one pool. `issue` and `revoke` raise VaultUnavailable."""

    def __init__(self, issue: Callable[[], Awaitable[Login]], revoke: Callable[[Login], Awaitable[None]]) -> None:
        self._issue = issue
        self._revoke = revoke
        self._asking = asyncio.Lock()
        self.current: Login | None = None

    async def get(self) -> Login:
        """The login for new connections; the first one is made when it is first needed."""
        if self.current is None:
            return await self.replace(None)
        return self.current

    async def replace(self, old: Login | None) -> Login:
        """A login other than `old`. However many ask at once, one is made."""
        async with self._asking:
            if self.current is None or self.current is old:
                self.current = await self._issue()
            return self.current

    async def end(self, login: Login) -> None:
        """Give a login back. Where Vault cannot take it now, it ends with our token or by itself."""
        if self.current is login:
            self.current = None
        try:
            await self._revoke(login)
        except VaultUnavailable as error:
            structlog.get_logger().warning("database.login_not_given_back", code=error.code, reason=error.message)
