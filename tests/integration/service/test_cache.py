"""The cache over a real Redis: one load however many ask, nothing stale, and a Redis that is away costs a moment."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.adapters.cache import Cache
from service.adapters.entries import Entry, Key, Value, encode, version_name
from service.adapters.link import EPOCH, Link
from service.core.errors import DatabaseUnavailable
from service.core.settings import Secret
from tests.integration.service.black_hole import black_hole
from tests.integration.service.servers import Valkey

TENANT = uuid.uuid4()
KEY = Key.row(TENANT, "document", uuid.uuid4())
SCOPE = frozenset({KEY.scope})


class Source:
    """What is loaded, and how often it was; `gate` holds every load up while it is closed."""

    def __init__(self, text: str | None = "first") -> None:
        self.text = text
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> Value | None:
        self.loads += 1
        text = self.text
        await self.gate.wait()
        return None if text is None else Value(1, json.dumps(text).encode())


@asynccontextmanager
async def caches(
    url: str, count: int = 1, *, patience: float = 5.0, **options: Any
) -> AsyncIterator[list[tuple[Cache, Link]]]:
    """As many caches as processes would have, each looked after. A busy machine is not taken for an outage."""
    links = [Link(Secret(url), timeout=patience) for _ in range(count)]
    made = [(Cache(link, **options), link) for link in links]
    tasks = [asyncio.create_task(cache.keep()) for cache, _ in made]
    try:
        for cache, _ in made:
            await settled(lambda cache=cache: cache.usable)
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for cache, link in made:
            await cache.close()
            await link.close()


async def settled(what: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def read(cache: Cache, source: Source, key: Key = KEY) -> str | None:
    found = await cache.read(key, source.load)
    return None if found is None else str(json.loads(found.body))


async def change(cache: Cache, source: Source, text: str | None) -> None:
    """What a transaction does around its COMMIT."""
    announced = await cache.announce(SCOPE)
    source.text = text
    await cache.done(SCOPE, announced=announced)


async def stored(cache: Cache, count: int = 1) -> None:
    await settled(lambda: cache.counts.stored >= count)


def test_five_hundred_misses_in_two_processes_are_one_load(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        source.gate.clear()
        async with caches(valkey.url, 2) as ((one, _), (other, _)):
            asking = [asyncio.create_task(read(cache, source)) for _ in range(250) for cache in (one, other)]
            await asyncio.sleep(0.05)
            source.gate.set()
            assert await asyncio.gather(*asking) == ["first"] * 500
        assert source.loads == 1

    run(main())


def test_a_change_is_seen_everywhere_at_once(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, _), (other, _)):
            for number in range(50):
                writer, reader = (one, other) if number % 2 else (other, one)
                await change(writer, source, f"text {number}")
                assert await read(reader, source) == f"text {number}"
                assert await read(writer, source) == f"text {number}"

    run(main())


def test_a_slow_reader_stores_nothing_that_counts(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, _), (other, _)):
            source.gate.clear()
            slow = asyncio.create_task(read(one, source))
            await settled(lambda: source.loads == 1)
            gate, source.gate = source.gate, asyncio.Event()
            source.gate.set()
            await change(other, source, "second")
            assert await read(one, source) == "second", "joined a load from before the change"
            gate.set()
            assert await slow == "first"
            await stored(one, 2)
            assert await read(one, source) == "second"
            assert await read(other, source) == "second"

    run(main())


def test_nothing_is_kept_while_a_change_is_under_way(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, _), (other, link)):
            await read(other, source)
            assert await one.announce(SCOPE)
            assert await read(other, source) == "first"
            source.text = "second"  # committed; and now its process dies
            assert await read(other, source) == "second"
            assert 0 < await link.call("TTL", version_name(KEY.scope)) <= 60
            assert other.counts.reads["document", "bypass"] == 2

    run(main())


def test_that_there_is_nothing_is_remembered_and_forgotten(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source(None)
        async with caches(valkey.url) as ((cache, _),):
            assert await read(cache, source) is None
            await stored(cache)
            assert await read(cache, source) is None
            assert source.loads == 1
            assert cache.counts.reads["document", "absent"] == 1
            await change(cache, source, "here now")
            assert await read(cache, source) == "here now"

    run(main())


def test_what_is_about_to_end_is_renewed_by_one_while_all_are_served(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, link), (other, _)):
            await read(one, source)
            await stored(one)
            stamp = await link.call("GET", EPOCH) + await link.call("GET", version_name(KEY.scope))
            old = Entry(Value(1, b'"first"'), ends=time.time() + 60, renew=time.time() - 1)
            await link.call("SET", KEY.name, encode(KEY, stamp, old))
            await link.call("DEL", KEY.claim(stamp))  # for a moment it is known that this has just been read
            source.text = "as it would be read now"
            source.gate.clear()
            asking = [read(cache, source) for _ in range(25) for cache in (one, other)]
            assert await asyncio.gather(*asking) == ["first"] * 50
            source.gate.set()
            await settled(lambda: one.counts.stored + other.counts.stored == 2)
            assert [await read(cache, source) for cache in (one, other)] == ["as it would be read now"] * 2
            assert source.loads == 2
            assert one.counts.renewals + other.counts.renewals == 1

    run(main())


def test_values_do_not_end_together_and_are_bounded(valkey: Valkey) -> None:
    async def main() -> None:
        async with caches(valkey.url, limit=100) as ((cache, link),):
            keys = [Key.row(TENANT, "document", uuid.uuid4()) for _ in range(20)]
            for key in keys:
                await read(cache, Source(), key)
            await stored(cache, 20)
            ends = {await link.call("PTTL", key.name) // 100 for key in keys}
            assert len(ends) > 10
            large = Source("x" * 101)
            for _ in range(3):
                assert await read(cache, large) == "x" * 101
                await stored(cache, 21)
            assert large.loads == 3
            assert await link.call("STRLEN", KEY.name) < 200

    run(main())


@pytest.mark.parametrize("raw", [b"", b"jxc1", b"x" * 500, b"{}", "other"])
def test_a_value_that_is_none_of_ours_is_a_miss(valkey: Valkey, raw: bytes | str) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url) as ((cache, link),):
            other = Key.row(uuid.uuid4(), "document", uuid.UUID(bytes=KEY.what))
            await read(cache, Source("another tenant's"), other)
            await stored(cache)
            await link.call("SET", KEY.name, await link.call("GET", other.name) if raw == "other" else raw)
            assert await read(cache, source) == "first"
            await stored(cache, 2)
            assert await read(cache, source) == "first"
            assert source.loads == 1

    run(main())


@pytest.mark.parametrize("loss", ["FLUSHALL", "restart"])
def test_a_redis_that_forgets_or_goes_back_in_time_brings_nothing_old_back(valkey: Valkey, loss: str) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, link), (other, _)):
            await read(one, source)
            await stored(one)
            kept = {name: await link.call("GET", name) for name in (EPOCH, version_name(KEY.scope), KEY.name)}
            await change(other, source, "second")
            if loss == "FLUSHALL":
                await link.call("FLUSHALL")
            else:  # its last second was not yet on the disk
                for name, value in kept.items():
                    await link.call("SET", name, value)
                await asyncio.to_thread(valkey.stop)
                await asyncio.to_thread(valkey.start)
            assert await read(other, source) == "second"
            assert await read(one, source) == "second"

    run(main())


def test_a_full_redis_is_not_filled_further_and_shows_nothing_old(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        async with caches(valkey.url, 2) as ((one, link), (other, _)):
            await read(one, source)
            await stored(one)
            await link.call("CONFIG", "SET", "maxmemory", 1)
            await change(other, source, "second")
            assert await read(one, source) == "second"
            assert await read(other, source) == "second"
            await link.call("CONFIG", "SET", "maxmemory", 2**28)
            await change(other, source, "third")
            assert await read(one, source) == "third"

    run(main())


def test_an_error_is_everybodys_and_nothing_is_kept_of_it(valkey: Valkey) -> None:
    async def fails() -> Value:
        await asyncio.sleep(0.01)
        raise DatabaseUnavailable("away")

    async def main() -> None:
        async with caches(valkey.url) as ((cache, _),):
            found = await asyncio.gather(*(cache.read(KEY, fails) for _ in range(20)), return_exceptions=True)
            assert {type(one) for one in found} == {DatabaseUnavailable}
            assert await read(cache, Source()) == "first"

    run(main())


def test_a_black_hole_opens_the_breaker_and_it_recovers_alone(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        with black_hole(valkey.port) as hole:
            async with caches(hole.redirected(valkey.url), 2, patience=0.2) as ((one, link), (other, _)):
                await read(one, source)
                await stored(one)
                hole.silent = True
                assert set(await asyncio.gather(*(read(one, source) for _ in range(50)))) == {"first"}
                assert not one.usable
                asked = link.breaker.opened, source.loads
                assert [await read(one, source) for _ in range(200)] == ["first"] * 200, "asked Redis again"
                assert (link.breaker.opened, source.loads) == (asked[0], asked[1] + 200)
                await change(one, source, "second")  # nobody hears of it
                hole.silent = False
                await settled(lambda: one.usable)
                assert await read(other, source) == "second"
                assert await read(one, source) == "second"

    run(main())


def test_a_write_that_could_not_be_told_is_made_up_for(valkey: Valkey) -> None:
    async def main() -> None:
        source = Source()
        with black_hole(valkey.port) as hole:
            async with (
                caches(hole.redirected(valkey.url), patience=0.2) as ((writer, _),),
                caches(valkey.url) as ((reader, _),),
            ):
                await read(reader, source)
                await read(writer, source)
                hole.silent = True
                await change(writer, source, "second")
                assert await read(writer, source) == "second", "its own process knows"
                hole.silent = False
                await settled(lambda: not writer._owed)
                assert await read(reader, source) == "second"
                assert await read(writer, source) == "second"

    run(main())
