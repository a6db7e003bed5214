"""Copies of what tenants read most, in Redis, never staler than a write that somebody was told of.

A value is stamped with the epoch and with the version of its tenant's table as they were before it was read; it counts as
long as both still are what they were. All three come in one answer, so a hit is one round trip. Around its COMMIT a write
sets the version: before, to one that forbids copies, after, to a new one. So a reader that was slow stores under a stamp
that has ended, and a writer that dies leaves copies forbidden for a while.

A write that Redis could not be told of is owed. Until that is made up for, its process reads past the cache; where Redis was
away for longer, whoever sees it come back begins a new epoch first. Nothing here fails a request.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from service.adapters.entries import Entry, Key, Value, decode, encode, version_name
from service.adapters.flights import Flights
from service.adapters.freshness import Scope
from service.adapters.link import EPOCH, Link, new_stamp
from service.core.errors import RedisUnavailable

Load = Callable[[], Awaitable[Value | None]]

_CHANGING, _SETTLED = b"w", b"c"  # a version's first byte
_CHANGING_SECONDS = 60  # that a COMMIT may take at the very most
_VERSION_SECONDS = 86_400  # longer than any value
_CLAIM_MS = 2_000  # that somebody is left alone with reading a value
_CLAIM_DONE_MS = 100  # and for which it is known that it has been read: others are about to look
_OTHERS = 1.0  # seconds to wait for what another process is reading; longer only where that has died
_RENEWED = 0.1  # share of its time from which on a value is read anew by whoever comes first
_JITTER = 0.1  # so that what was stored together does not end together
_OFTEN, _SELDOM = 0.25, 2.0  # seconds between two looks at Redis: when something is wrong, and when nothing is
_FULL = 0.6  # share of Redis' memory: the queue lives there too, and must find room


@dataclass(slots=True)
class Counts:
    """What became of reads, by table and result: hit, absent (a hit that says there is nothing), miss, stale (a copy from
    before a change), bypass (the cache could not be used); and how often something was loaded, renewed or stored."""

    reads: dict[tuple[str, str], int] = field(default_factory=dict)
    loads: int = 0
    renewals: int = 0
    stored: int = 0
    refused: int = 0  # values that were too large, or that there was no room for

    def read(self, table: str, result: str) -> None:
        """One more."""
        self.reads[table, result] = self.reads.get((table, result), 0) + 1


class Cache:
    """`ttl` and `absent_ttl` (of what is not there) are in seconds, `limit` is what a value may have in bytes."""

    def __init__(self, link: Link, *, ttl: float = 60.0, absent_ttl: float = 5.0, limit: int = 65_536) -> None:
        self._link = link
        self._ttl = ttl
        self._absent_ttl = absent_ttl
        self._limit = limit
        self._flights = Flights()
        self._owed: dict[Scope, object] = {}
        self._opened = 0  # how often the breaker had opened when the present epoch was made sure of
        self._wake = asyncio.Event()
        self._full = False
        self.counts = Counts()

    @property
    def usable(self) -> bool:
        """Whether it makes sense to ask."""
        return self._link.breaker.closed

    @property
    def opened(self) -> int:
        """How often Redis was given up."""
        return self._link.breaker.opened

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def read(self, key: Key, load: Load) -> Value | None:
        """What `load` answers, now or a while ago; None is for nothing, which is remembered, too. Raises what it raises."""
        seen = await self._look(key)
        if seen is None:
            self.counts.read(key.table, "bypass")
            return await load()
        stamp, raw = seen
        entry = decode(raw, key, stamp) if raw is not None else None
        now = time.time()
        if entry is None or entry.ends <= now:
            self.counts.read(key.table, "miss" if raw is None or entry is not None else "stale")
            found: Value | None = await self._flights.join((key, stamp), lambda flight: self._load(key, stamp, load, flight))
            return found
        if entry.too_large:
            self.counts.read(key.table, "bypass")
            return await load()
        self.counts.read(key.table, "hit" if entry.value is not None else "absent")
        if entry.renew <= now:
            # Under a name of its own: whoever renews may find that another does, and then has nothing to tell.
            self._flights.begin((key, stamp, "renew"), lambda flight: self._renew(key, stamp, load, flight))
        return entry.value

    async def announce(self, scopes: frozenset[Scope]) -> bool:
        """See Changes. Copies of these are not used from now on."""
        return await self._set(scopes, _CHANGING, _CHANGING_SECONDS)

    async def done(self, scopes: frozenset[Scope], *, announced: bool) -> None:
        """See Changes. Copies of these may be made again, and none from before counts."""
        if announced:
            await self._set(scopes, _SETTLED, _VERSION_SECONDS)
        else:
            self._owe(scopes)  # once more: what was made up for meanwhile was not yet committed

    async def keep(self) -> None:
        """Look after it for as long as the process runs: make up for what is owed, see Redis come back, see it full."""
        log = structlog.get_logger()
        await self._link.open()
        while True:
            wrong = True
            try:
                await self._catch_up()
                await self._see_memory()
                wrong = bool(self._owed) or not self._link.breaker.closed
            except RedisUnavailable as error:
                log.debug("cache.away", code=error.code)
            except Exception:
                log.exception("cache.crashed")  # a mistake of ours must not end it: the cache would stay off
            if not wrong:
                self._wake.clear()
            try:
                async with asyncio.timeout(_OFTEN if wrong else _SELDOM):
                    await (asyncio.sleep(_OFTEN) if wrong else self._wake.wait())
            except TimeoutError:
                continue

    async def _look(self, key: Key) -> tuple[bytes, bytes | None] | None:
        """The stamp that holds, and what is stored; None where the cache is not to be used."""
        if not self._link.breaker.closed:
            self._wake.set()
            return None
        if self._owed and key.scope in self._owed:
            return None
        try:
            epoch, version, raw = await self._link.call("MGET", EPOCH, version_name(key.scope), key.name)
            if epoch is None:  # everything was deleted
                epoch = await self._first(EPOCH, new_stamp())
            if version is None:
                version = await self._first(version_name(key.scope), _SETTLED + new_stamp()[1:], _VERSION_SECONDS)
        except RedisUnavailable:
            return None
        if len(version) != 8 or len(epoch) != 8 or version[:1] != _SETTLED:
            return None
        return epoch + version, raw

    async def _first(self, name: str, value: bytes, seconds: int | None = None) -> bytes:
        """`value`, unless somebody was faster."""
        ends = () if seconds is None else ("EX", seconds)
        found: bytes | None = await self._link.call("SET", name, value, "NX", "GET", *ends, get=True)
        return value if found is None else found

    async def _load(
        self, key: Key, stamp: bytes, load: Load, flight: asyncio.Future[Value | None], *, alone: bool = False
    ) -> None:
        """Have `flight` know what there is: from whoever is reading it already, else by reading it. Then store it."""
        if not alone and not await self._claimed(key, stamp):
            entry = await self._of_others(key, stamp)
            if entry is not None and not entry.too_large:
                flight.set_result(entry.value)
                return
        try:
            self.counts.loads += 1
            value = await load()
        except BaseException:
            await self._forget(key.claim(stamp))
            raise
        if not flight.done():
            flight.set_result(value)
        await self._store(key, stamp, value)

    async def _renew(self, key: Key, stamp: bytes, load: Load, flight: asyncio.Future[Value | None]) -> None:
        if await self._claimed(key, stamp, by_default=False):
            self.counts.renewals += 1
            await self._load(key, stamp, load, flight, alone=True)

    async def _claimed(self, key: Key, stamp: bytes, *, by_default: bool = True) -> bool:
        """Whether it is ours to read this."""
        try:
            return await self._link.call("SET", key.claim(stamp), b"1", "NX", "PX", _CLAIM_MS) is not None
        except RedisUnavailable:
            return by_default

    async def _of_others(self, key: Key, stamp: bytes) -> Entry | None:
        """What another process stores within a moment."""
        pause = 0.004
        try:
            async with asyncio.timeout(_OTHERS):
                while True:
                    await asyncio.sleep(pause)
                    raw = await self._link.call("GET", key.name)
                    if raw is not None and (entry := decode(raw, key, stamp)) is not None:
                        return entry
                    pause = min(pause * 2, 0.03)
        except (TimeoutError, RedisUnavailable):
            return None

    async def _store(self, key: Key, stamp: bytes, value: Value | None) -> None:
        too_large = value is not None and len(value.body) > self._limit
        if too_large or self._full:
            self.counts.refused += 1
        if self._full:
            await self._forget(key.claim(stamp))
            return
        seconds = (self._absent_ttl if value is None else self._ttl) * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        now = time.time()
        entry = Entry(None if too_large else value, now + seconds, now + seconds * (1 - _RENEWED), too_large=too_large)
        try:
            await self._link.many(
                [
                    ("SET", key.name, encode(key, stamp, entry), "PX", int(seconds * 1000)),
                    ("PEXPIRE", key.claim(stamp), _CLAIM_DONE_MS),
                ]
            )
            self.counts.stored += 1
        except RedisUnavailable:
            return  # it is read again by whoever asks next

    async def _forget(self, name: str) -> None:
        try:
            await self._link.call("DEL", name)
        except RedisUnavailable:
            return  # it ends by itself

    async def _set(self, scopes: frozenset[Scope], state: bytes, seconds: int) -> bool:
        """Set the versions of `scopes`; they are owed where that cannot be."""
        if self._link.breaker.closed:
            try:
                await self._write(scopes, state, seconds)
            except RedisUnavailable:
                pass
            else:
                return True
        self._owe(scopes)
        return False

    async def _write(self, scopes: Iterable[Scope], state: bytes, seconds: int) -> None:
        names = [version_name(one) for one in scopes]
        try:
            await self._link.many([("SET", name, state + new_stamp()[1:], "EX", seconds) for name in names])
        except RedisUnavailable as error:
            if error.code != RedisUnavailable.REFUSED_COMMAND:
                raise
            # Its memory is full. Deleting is always possible, and without a version no copy counts.
            await self._link.call("DEL", *names)

    def _owe(self, scopes: frozenset[Scope]) -> None:
        for one in scopes:
            self._owed[one] = object()  # another than before: what is being made up for now may not cover it
        self._wake.set()

    async def _catch_up(self) -> None:
        """Make up for what is owed, and close the breaker where Redis answers. Raises RedisUnavailable."""
        owed, breaker = dict(self._owed), self._link.breaker
        if breaker.closed and not owed:
            return
        if breaker.opened > self._opened:
            # Others may owe, too, and not know yet that Redis is back.
            opened = breaker.opened
            await self._link.call("SET", EPOCH, new_stamp())
            self._opened = opened
        else:
            await self._link.call("PING")
        if owed:
            await self._write(owed, _SETTLED, _VERSION_SECONDS)
        for one, mark in owed.items():
            if self._owed.get(one) is mark:
                del self._owed[one]
        if not breaker.closed:
            breaker.close()
            structlog.get_logger().info("cache.ready")

    async def _see_memory(self) -> None:
        found = await self._link.call("INFO", "memory")
        most = int(found.get("maxmemory", 0))
        self._full = most > 0 and int(found["used_memory"]) > _FULL * most
