"""Redis: cache and queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, warn
from jeex_cli.checks.repairs import RestartServices, SetInRedis

_GROUP = "redis"
_NEEDED = (7, 2)
_MANY, _ALMOST_ALL = 0.8, 0.95  # of the memory that it may use


@dataclass(frozen=True, slots=True)
class Door:
    """`open`: it answers without a password. `refused`: it does not take the one of .env."""

    open: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class Server:
    """What it says of itself, by INFO's names, and its settings; `wanted` are those of templates/redis/redis.conf."""

    info: Mapping[str, str]
    settings: Mapping[str, str]
    wanted: Mapping[str, str]


def redis_auth(facts: Door) -> Verdict:
    again = RestartServices(("redis",))
    if facts.open:
        return fail("Redis asks for no password: whoever reaches its port has the queue", fix=again.text, repair=again)
    if facts.refused:
        return fail(
            "Redis does not accept JEEX_REDIS_PASSWORD: it was started with another one",
            fix=again.text,
            repair=again,
            code="PASSWORD_MISMATCH",
        )
    return ok("Redis takes the password of .env, and asks for it")


def redis_persistence(facts: Server) -> Verdict:
    if facts.settings.get("appendonly") != "yes":
        repair = SetInRedis((("appendonly", "yes"),))
        return fail("Redis writes nothing down (appendonly is off): the queue ends with it", fix=repair.text, repair=repair)
    broken = [name for name in ("aof_last_write_status", "aof_last_bgrewrite_status") if facts.info.get(name, "ok") != "ok"]
    if broken:
        return fail(
            "Redis could not write its append-only file",
            [f"{name}: {facts.info[name]}" for name in broken],
            fix="look for room and permission in .jeex/data/redis: jeex doctor --only folders; jeex logs redis",
        )
    return ok("Redis writes down what it has taken")


def redis_eviction(facts: Server) -> Verdict:
    policy, wanted = facts.settings.get("maxmemory-policy", ""), facts.wanted.get("maxmemory-policy", "noeviction")
    if policy == wanted:
        return ok("full memory refuses writes, and drops nothing")
    repair = SetInRedis((("maxmemory-policy", wanted),))
    return fail(f"Redis drops keys when its memory is full ({policy}), jobs among them", fix=repair.text, repair=repair)


def redis_version(facts: Server) -> Verdict:
    text = facts.info.get("redis_version", "0")
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if version < _NEEDED:
        return fail(
            f"Redis is {text}; the queue needs {_NEEDED[0]}.{_NEEDED[1]} or newer",
            fix="JEEX_REDIS_VERSION=8.2 in .env (with Docker), or take JEEX_REDIS_SERVER out; then jeex up",
        )
    other = facts.info.get("valkey_version")
    return ok(f"Valkey {other}, as good as Redis {text}" if other else f"Redis {text}")


def redis_memory(facts: Server) -> Verdict:
    used, most = int(facts.info.get("used_memory", 0)), int(facts.settings.get("maxmemory", 0))
    wanted = _bytes(facts.wanted.get("maxmemory", "0"))
    repair = SetInRedis((("maxmemory", str(wanted)),)) if most != wanted else None
    if not most:
        return warn("Redis may use any amount of memory", fix=repair.text if repair else "", repair=repair)
    said = f"Redis uses {used / most:.0%} of the {most // 2**20} MiB that it may use"
    if used < most * _MANY:
        return ok(said)
    fix = repair.text if repair else "look what takes it: jeex logs worker; or raise maxmemory in templates/redis/redis.conf"
    verdict = fail if used >= most * _ALMOST_ALL else warn
    return verdict(said + ": full memory refuses new jobs", fix=fix, repair=repair)


def _bytes(text: str) -> int:
    """`256mb` in bytes, as redis.conf has it."""
    for unit, size in (("kb", 2**10), ("mb", 2**20), ("gb", 2**30)):
        if text.lower().endswith(unit):
            return int(text[: -len(unit)]) * size
    return int(text) if text.isdigit() else 0


def _live(id: str, title: str, explanation: str, judge: object) -> Check:
    return Check(id, _GROUP, title, explanation, Server, judge, ("redis", "worker"))  # type: ignore[arg-type]


CHECKS = (
    Check(
        "redis-auth",
        _GROUP,
        "Redis asks for the password of .env",
        "Any program of this machine can reach Redis' port; the password keeps it out of the cache and the queue.",
        Door,
        redis_auth,
        ("redis", "worker"),
    ),
    _live(
        "redis-persistence",
        "Redis writes down what it has taken",
        "The append-only file is what a restarted Redis reads its queue from. Looks whether it is on, and whether "
        "the last writes succeeded.",
        redis_persistence,
    ),
    _live(
        "redis-eviction",
        "full memory drops no job",
        "With any policy but noeviction a full Redis drops keys by itself, and a job is a key like others.",
        redis_eviction,
    ),
    _live(
        "redis-version",
        "Redis is new enough",
        "The queue uses commands that came with Redis 7.2; Valkey counts by what it is compatible with.",
        redis_version,
    ),
    _live(
        "redis-memory",
        "Redis has memory left",
        "Compares what Redis uses with maxmemory. Warns at 80 %, fails at 95 %: full memory refuses new jobs.",
        redis_memory,
    ),
)
