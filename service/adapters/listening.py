"""What PostgreSQL tells on its own (NOTIFY): one connection per process listens, however many want to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from service.adapters.database import Database
from service.adapters.failures import LOST
from service.core.errors import Unavailable

_LOOK = 5.0  # seconds between two looks whether the connection still is one that may be used
_ANSWER = 2.0  # seconds for that look
_PAUSE = 1.0  # seconds before the next attempt


def _nothing() -> None:
    """For who need not know."""


async def listen(
    database: Database,
    channel: str,
    heard: Callable[[str], None],
    *,
    began: Callable[[], None] = _nothing,
    ended: Callable[[], None] = _nothing,
) -> None:
    """Call `heard` with each message, until cancelled. `database` is for this alone: its one connection is held.

    `began` is called each time that it listens (again), for what was said before was not heard; `ended` when it no longer
    does, which a connection that has gone silent shows after some seconds (_LOOK and _ANSWER).
    """
    log, away = structlog.get_logger(), False
    while True:
        try:
            async with database.held() as driver:
                gone = asyncio.Event()
                driver.add_termination_listener(lambda *_, gone=gone: gone.set())
                await driver.add_listener(channel, lambda *told: heard(str(told[3])))
                if away:
                    log.info("listening.back")
                away = False
                began()
                try:
                    login = database.login
                    while not gone.is_set() and database.login is login:  # one that is turned over is let go of
                        try:
                            async with asyncio.timeout(_LOOK):
                                await gone.wait()
                        except TimeoutError:
                            # What it does already: so pg_stat_activity goes on saying what this connection is for.
                            await driver.execute(f"LISTEN {channel}", timeout=_ANSWER)
                finally:
                    ended()
        except (Unavailable, *LOST) as error:
            if not away:
                log.warning("listening.away", reason=type(error).__name__)
            away = True
        await asyncio.sleep(_PAUSE if away else 0)
