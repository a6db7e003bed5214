"""Redis, attacked: values planted under one tenant's keys, keys that name no tenant, doors without a password.

Nothing is written but under the canaries' own keys.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jeex_cli.ops.verify.arena import Arena
from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.evidence import Evidence
from jeex_cli.session import Session

if TYPE_CHECKING:
    from redis import Redis

_OURS = "jeex:cache:*"
# See service/adapters/entries.py: whose, of which table, a version or a value or who is reading it.
_NAME = re.compile(r"jeex:cache:[0-9a-f]{32}:[a-z_]+:(version|(row|page):[0-9a-f]{32}:[0-9a-f]*(:[0-9a-f]+)?)")
_OF_NOBODY = ("jeex:cache:epoch", "jeex:cache:server")
_MINUTE = 60_000  # milliseconds
_CLOSE = "make every key with Key (service/adapters/entries.py), which takes the tenant first; then delete what is there"
FORGED = "jeexcanary"  # how messages begin that we make


def connect(session: Session) -> Redis:
    """Redis, with the stack's own password."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    url = session.stack.host_environment("api")["REDIS_URL"]
    return Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=5.0, retry=Retry(NoBackoff(), 0))


def attack(arena: Arena) -> None:
    """Every attack. What the cache holds is asked through the API, as a tenant would."""
    session, evidence, pair = arena.session, arena.evidence, (arena.attacker, arena.victim)
    _doors(session, evidence)
    if session.stack.host_environment("api").get("CACHE") == "off":
        evidence.refused("redis", "copies of rows", "there are none: CACHE is off")
        return
    for one in pair:  # what there may be copies of
        for path in (f"projects/{one.ids['project'][0]}", f"documents/{one.ids['document'][0]}", "projects", "documents"):
            arena.api.ask("GET", f"/api/v1/{path}", one.token)
    _names(arena.redis, pair, evidence)
    _plant(arena)


def _doors(session: Session, evidence: Evidence) -> None:
    """Without a password, and with a wrong one."""
    from urllib.parse import urlsplit

    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError
    from redis.retry import Retry

    parts = urlsplit(session.stack.host_environment("api")["REDIS_URL"])
    for what, password in (("no password", None), ("a wrong password", "not-it")):
        host, port = parts.hostname or "127.0.0.1", parts.port or 6379
        one = Redis(host, port, password=password, socket_timeout=5.0, retry=Retry(NoBackoff(), 0))
        try:
            one.dbsize()
        except AuthenticationError as error:
            evidence.refused("redis", f"come in with {what}", str(error))
        else:
            evidence.hole(
                "redis",
                f"come in with {what}",
                f"Redis lets everybody in with {what}",
                "set JEEX_REDIS_PASSWORD in .env, then: jeex up",
            )
        finally:
            one.close()


def _names(redis: Redis, canaries: Iterable[Canary], evidence: Evidence) -> None:
    """Every key of the cache says whose it is; of the canaries there are some, or nothing was looked at."""
    found = [key.decode() for key in redis.scan_iter(match=_OURS, count=1000)]
    nameless = [one for one in found if one not in _OF_NOBODY and not _NAME.fullmatch(one)]
    for one in nameless[:10]:
        evidence.hole("redis", "keys without a tenant", f"the key {one} of the cache names no tenant", _CLOSE)
    if not nameless:
        evidence.refused("redis", "keys without a tenant", f"all of {len(found)} keys say whose they are")
    for one in canaries:
        mine = [name for name in found if f":{one.tenant_id.hex}:" in name]
        kept = [name for name in mine if not name.endswith(":version")]
        if not kept:
            evidence.untried(
                "redis", f"copies of {one.slug}'s rows", "the cache holds none: is Redis full, or away for the API?"
            )
        for name in kept:
            others = [other for other in canaries if other is not one and other.tag.encode() in (redis.get(name) or b"")]
            evidence.judged(
                "redis",
                f"what is stored under {_shape(name)}",
                holds=not others,
                refusal="its own tenant's",
                hole=f"under a key of one tenant's the cache holds rows of another: {name}",
                close=_CLOSE,
            )


def _plant(arena: Arena) -> None:
    """A value under a key of the attacker's is shown to the attacker, and to nobody else. Then the attacker's own value,
    as it is, under the victim's key: it says whose it is, and is not taken."""
    redis, api, attacker, victim, evidence = arena.redis, arena.api, arena.attacker, arena.victim, arena.evidence
    from service.adapters.entries import Entry, Key, Value, encode, version_name
    from service.adapters.link import EPOCH

    row = uuid.UUID(attacker.ids["project"][0])
    prefix = Key.row(attacker.tenant_id, "project", row).name
    name = next((key.decode() for key in redis.scan_iter(match=f"{prefix}*", count=1000) if key.count(b":") == 6), "")
    found: list[Any] = redis.mget(EPOCH, version_name((attacker.tenant_id, "project")), name or "-")
    epoch, version, kept = found
    if not (name and epoch and version and kept):
        evidence.untried("redis", "plant a value", "the cache holds no project of the attacker's to take its place")
        return
    shape = name.rpartition(":")[2]
    key = Key.row(attacker.tenant_id, "project", row, shape=shape)
    now = time.time()
    planted = f'{{"planted":"{attacker.tag}"}}'.encode()
    entry = Entry(Value(1, planted), now + 60, now + 50)
    theirs = Key.row(victim.tenant_id, "project", row, shape=shape)
    path = f"/api/v1/projects/{row}"
    redis.set(key.name, encode(key, epoch + version, entry), px=_MINUTE)
    try:
        shown = api.ask("GET", path, attacker.token)
        if b"planted" not in shown.body:
            evidence.untried("redis", "plant a value", f"it is not even shown to whose key it is: {shown.said}")
            return
        _judge(evidence, "plant a value under one's own key", api.ask("GET", path, victim.token))
        their_version = redis.get(version_name((victim.tenant_id, "project")))
        for what, value in (
            ("copy one's own value to the other's key", kept),
            ("copy one's own value to the other's key, with the other's stamp", _stamped(kept, epoch, their_version)),
        ):
            redis.set(theirs.name, value, px=_MINUTE)
            _judge(evidence, what, api.ask("GET", path, victim.token))
    finally:
        redis.delete(key.name, theirs.name)


def _judge(evidence: Evidence, what: str, answer: Any) -> None:
    if answer.status == 404:
        evidence.refused("redis", what, answer.said)
    elif answer.status < 300:
        evidence.hole("redis", what, "the cache serves one tenant what was stored for another", _CLOSE)
    else:
        evidence.untried("redis", what, f"the API answers {answer.said}, which is no refusal of this")


def _stamped(value: bytes, epoch: bytes, version: Any) -> bytes:
    """The value as if it had been read under another stamp; its checksum then is that of no key."""
    place = 29  # of the 16 bytes, behind form, kind, two times and the version
    return value[:place] + epoch + (version or b"\0" * 8) + value[place + 16 :]


def _shape(name: str) -> str:
    return ":".join(name.split(":")[3:5])


def remove(redis: Redis, tenant_ids: Iterable[Any]) -> None:
    """Every key of the canaries, and every message of ours that was not read."""
    names = [f"jeex:cache:{one.hex}:*" for one in tenant_ids] + [f"streaq:*{FORGED}*"]
    for pattern in names:
        found = list(redis.scan_iter(match=pattern, count=1000))
        if found:
            redis.delete(*found)
