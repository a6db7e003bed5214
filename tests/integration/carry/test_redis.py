"""The logical copy of Redis between two real servers: every kind of key, keys that end, keys that do not hold still."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from jeex_cli.errors import JeexError
from jeex_cli.ops import carry_redis
from tests.integration.carry.sides import Side, carried

BINARY = bytes(range(256))


def every_kind(r: redis.Redis) -> None:
    r.set("string", "text")
    r.set(b"\xff\x00 binary \r\n", BINARY)
    r.set("empty", b"")
    r.set("number", 12345678901234567890)
    r.set("long", random.Random(1).randbytes(2_500_000))
    r.pfadd("hyperloglog", *range(2000))
    r.setbit("bits", 100_003, 1)
    r.rpush("list", BINARY, "", "b", "a", "b")
    r.rpush("long list", *range(1001))
    r.sadd("set", BINARY, "", "1", "2")
    r.sadd("large set", *range(5000))
    r.hset("hash", mapping={BINARY: BINARY, "": "", "a": "1"})
    r.hset("large hash", mapping={f"f{n}": "x" * 80 for n in range(3000)})
    r.zadd("zset", {BINARY: 0.1, "": -1e300, "inf": float("inf"), "third": 1 / 3, "same": 1, "as this": 1})
    r.zadd("large zset", {f"m{n}": n / 7 for n in range(2500)})
    r.set("later", "x", px=3_600_000)
    r.rpush("list for a while", "x")
    r.pexpire("list for a while", 7_200_000)
    r.hset("fields", mapping={"stays": "1", "goes": "2"})
    r.execute_command("HPEXPIRE", "fields", 3_600_000, "FIELDS", 1, "goes")
    streams(r)
    r.execute_command("COPY", "string", "string", "DB", 3)


def streams(r: redis.Redis) -> None:
    for n in range(1, 451):
        r.xadd("stream", {"n": n, b"\x00": BINARY}, id=f"1000-{n}")
    r.xdel("stream", "1000-450", "1000-7")
    r.xgroup_create("stream", "workers", id="0")
    r.xgroup_create("stream", "from the end", id="$")
    r.xreadgroup("workers", "one", {"stream": ">"}, count=300)
    r.xreadgroup("workers", "two", {"stream": ">"}, count=5)
    r.xgroup_createconsumer("stream", "workers", "idle")
    r.xack("stream", "workers", "1000-1", "1000-2")
    r.xclaim("stream", "workers", "two", 0, ["1000-3"])
    r.xdel("stream", "1000-4")  # delivered, and gone since
    r.xgroup_create("stream of nothing", "workers", mkstream=True)
    r.xadd("emptied", {"a": "b"}, id="5-5")
    r.xdel("emptied", "5-5")


def contents(r: redis.Redis) -> dict[bytes, object]:
    """Every key as a client sees it, read in other ways than the copy reads."""
    read: dict[str, Callable[[bytes], object]] = {
        "string": r.get,
        "list": lambda key: r.lrange(key, 0, -1),
        "set": r.smembers,
        "hash": r.hgetall,
        "zset": lambda key: r.zrange(key, 0, -1, withscores=True),
        "stream": r.xrange,
    }
    return {key: (r.type(key), read[r.type(key).decode()](key), r.pexpiretime(key)) for key in r.scan_iter()}


def test_every_kind_of_key_arrives(source: Side, target: Side, folder: Path) -> None:
    every_kind(source.redis)
    assert carried(source, target, folder).keys == len(source.redis.keys()) + 1
    assert contents(target.redis) == contents(source.redis)
    a, b = source.redis, target.redis
    assert b.pfcount("hyperloglog") == a.pfcount("hyperloglog")
    assert b.execute_command("HPEXPIRETIME", "fields", "FIELDS", 2, "stays", "goes") == a.execute_command(
        "HPEXPIRETIME", "fields", "FIELDS", 2, "stays", "goes"
    )
    for name in ("stream", "stream of nothing", "emptied"):
        shown = [{k: v for k, v in one.xinfo_stream(name).items() if not k.startswith("radix")} for one in (a, b)]
        assert shown[0] == shown[1]
    for name in ("stream", "stream of nothing"):
        groups = [
            [(g["name"], g["consumers"], g["last-delivered-id"], g["entries-read"]) for g in one.xinfo_groups(name)]
            for one in (a, b)
        ]
        assert groups[0] == groups[1] != []
    # Deliveries go on where they were; that of an entry which is gone has gone too.
    pending = [{p["message_id"]: p for p in one.xpending_range("stream", "workers", "-", "+", 1000)} for one in (a, b)]
    assert len(pending[0]) == 303
    assert pending[1].keys() == pending[0].keys() - {b"1000-4"}
    for number, there in pending[1].items():
        here = pending[0][number]
        assert (there["consumer"], there["times_delivered"]) == (here["consumer"], here["times_delivered"])
        assert abs(there["time_since_delivered"] - here["time_since_delivered"]) < 1000
    assert {one["name"] for one in b.xinfo_consumers("stream", "workers")} == {b"one", b"two", b"idle"}
    assert b.xadd("emptied", {"a": "b"}, id="5-6") == b"5-6"
    with pytest.raises(redis.ResponseError):
        b.xadd("emptied", {"a": "b"}, id="5-5")  # that number is spent


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda r: r.set("string", "texT"), "'string' has other values"),
        (lambda r: r.setrange("long", 2_000_000, b"xxx"), "'long' has other values"),
        (lambda r: r.append("long", "x"), "'long' had 2500000 elements and has 2500001"),
        (lambda r: r.delete("hash"), "'hash' is missing"),
        (lambda r: r.set("one more", "x"), "'one more' was not there before"),
        (lambda r: (r.delete("set"), r.rpush("set", "1")), "'set' was a set and is a list"),
        (lambda r: (r.lset("long list", 3, "4"), r.lset("long list", 4, "3")), "'long list' has other values"),
        (lambda r: (r.srem("set", "1"), r.sadd("set", "3")), "'set' has other values"),
        (lambda r: r.hset("large hash", "f77", "y"), "'large hash' has other values"),
        (lambda r: r.zadd("zset", {"third": 1 / 3 + 1e-16}), "'zset' has other values"),
        (lambda r: r.persist("later"), "'later' has other values, or another end"),
        (lambda r: r.execute_command("HPERSIST", "fields", "FIELDS", 1, "goes"), "'fields' has other values"),
        (lambda r: r.xack("stream", "workers", "1000-9"), "'stream' has other values"),
        (lambda r: r.xgroup_setid("stream", "workers", "1000-2"), "'stream' has other values"),
        (lambda r: r.delete(b"\xff\x00 binary \r\n"), r"'\\xff\x00 binary \r\n' is missing"),
    ],
)
def test_every_difference_of_a_key_is_noticed_and_named(
    source: Side, target: Side, folder: Path, wrong: Callable[[redis.Redis], object], told: str
) -> None:
    every_kind(source.redis)
    carry_redis.save(source.stores.redis, folder)
    carry_redis.load(target.stores.redis, folder)
    assert carry_redis.compare(target.stores.redis, folder) == []
    wrong(target.redis)
    found = carry_redis.compare(target.stores.redis, folder)
    assert len(found) == 1 and told in found[0], found


def test_a_key_whose_time_comes_is_not_missed(source: Side, target: Side, folder: Path) -> None:
    source.redis.set("soon", "x", px=300)
    source.redis.set("sooner", "x", px=300)
    source.redis.set("stays", "x")
    assert carry_redis.save(source.stores.redis, folder).keys == 3
    time.sleep(0.4)
    carry_redis.load(target.stores.redis, folder)
    assert carry_redis.compare(target.stores.redis, folder) == []
    assert target.redis.keys() == [b"stays"]


def test_keys_that_end_while_they_are_read(source: Side, target: Side, folder: Path) -> None:
    for n in range(4000):
        source.redis.rpush(f"l{n}", *range(5))
        source.redis.pexpire(f"l{n}", 1 + n // 8)
    source.redis.set("stays", "x")
    carry_redis.save(source.stores.redis, folder)
    time.sleep(0.6)
    carry_redis.load(target.stores.redis, folder)
    assert carry_redis.compare(target.stores.redis, folder) == []
    assert target.redis.keys() == [b"stays"]


@pytest.mark.parametrize("kind", ["string", "list", "zset", "set", "hash", "stream"])
def test_a_key_that_does_not_hold_still_is_refused(source: Side, kind: str) -> None:
    numbers = itertools.count()
    add: dict[str, Callable[[], object]] = {
        "string": lambda: source.redis.append("key", "x"),
        "list": lambda: source.redis.rpush("key", "x"),
        "zset": lambda: source.redis.zadd("key", {str(next(numbers)): 1}),
        "set": lambda: source.redis.sadd("key", next(numbers)),
        "hash": lambda: source.redis.hset("key", str(next(numbers)), "x" * 80),
        "stream": lambda: source.redis.xadd("key", {"n": next(numbers)}),
    }
    for _ in range(10 if kind == "stream" else 1000):  # a stream grows by an entry with each that is read
        add[kind]()
    with carry_redis.connected(source.stores.redis) as client, pytest.raises(JeexError) as refused:
        carry_redis._read(client.ask, b"key", lambda _: add[kind]())
    assert refused.value.code == "REDIS_IN_USE"


def test_redis_that_is_away_or_full_is_an_error_with_a_name(source: Side, target: Side, folder: Path) -> None:
    every_kind(source.redis)
    carry_redis.save(source.stores.redis, folder)
    with pytest.raises(JeexError) as refused:
        carry_redis.load(carry_redis.Server(target.valkey.port, "wrong"), folder)
    assert refused.value.code == "CARRY_FAILED"
    target.redis.config_set("maxmemory", 2_000_000)
    try:
        with pytest.raises(JeexError) as full:
            carry_redis.load(target.stores.redis, folder)
    finally:
        target.redis.config_set("maxmemory", 256 * 1024 * 1024)
    assert full.value.code == "CARRY_FAILED" and "OutOfMemory" in full.value.detail
