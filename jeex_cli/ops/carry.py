"""A logical copy of everything that a stack knows: its database, Vault's storage in it, and Redis.

`saved` writes it into a folder and holds the source still; `load` brings it into empty servers; `compare` says what is not
the same. Vault's storage is carried as it is, encrypted: what opens it stands in `.env`, which both sides share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jeex_cli.errors import JeexError
from jeex_cli.events import Report, Step
from jeex_cli.ops import carry_database, carry_redis
from jeex_cli.ops.carry_database import Facts
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session

SERVICES = ("postgres", "redis")  # those with the data
_SHOWN = 20  # differences


@dataclass(frozen=True, slots=True)
class Stores:
    """The two servers with the data. Both runtimes publish them on the same ports, with the same passwords."""

    postgres: carry_database.Server
    redis: carry_redis.Server


@dataclass(frozen=True, slots=True)
class Saved:
    """What was copied: facts of each table, how many keys. `old_logins` are those of Vault's that nobody gave back."""

    facts: Facts
    keys: int
    old_logins: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """In all tables."""
        return sum(count for count, _ in self.facts.values())


def stores(session: Session) -> Stores:
    """The servers of this project. Raises NotReady where this machine lacks the programs that copy, UsageError where
    compose.yaml has no such service."""
    postgres, redis = (session.stack.service(name) for name in SERVICES)
    place = session.place
    password = postgres.environment.get("POSTGRES_PASSWORD", "")
    server = carry_database.Server(postgres.host_port or 5432, password, binaries(place), place.base_env)
    server.check()
    return Stores(server, carry_redis.Server(redis.host_port or 6379, redis.environment.get("REDISCLI_AUTH", "")))


@contextmanager
def saved(source: Stores, folder: Path, report: Report, *, timeout: float) -> Iterator[Saved]:
    """Copy the source into `folder`, which is this user's alone. Until the end nobody can write to its database.

    A database may take `timeout` seconds. Raises JeexError, TimedOut.
    """
    with carry_database.held(source.postgres) as database:
        with step(report, "copy-database", "Copy database") as said:
            database.dump(folder, timeout=timeout)
            facts = database.facts()
            found = Saved(facts, 0, database.old_logins())
            said(f"{len(facts)} tables, {found.rows:,} rows")
        with step(report, "copy-redis", "Copy Redis") as said:
            counted = carry_redis.save(source.redis, folder)
            said(f"{counted.keys:,} keys")
        yield Saved(facts, counted.keys, found.old_logins)


def is_fresh(target: Stores) -> bool:
    """Whether there is nothing in it that could be lost."""
    return carry_database.is_fresh(target.postgres) and carry_redis.is_fresh(target.redis)


def load(target: Stores, folder: Path, report: Report, *, timeout: float) -> None:
    """Bring in what `saved` has copied. Raises JeexError, TimedOut."""
    with step(report, "fill-database", "Fill database"):
        carry_database.restore(target.postgres, folder, timeout=timeout)
    with step(report, "fill-redis", "Fill Redis"):
        carry_redis.load(target.redis, folder)


def compare(target: Stores, folder: Path, facts: Facts, report: Report) -> None:
    """Raise JeexError, CARRY_MISMATCH with what differs, unless every table and every key is as it was."""
    with step(report, "compare", "Compare") as said:
        found = carry_database.differences(facts, carry_database.facts(target.postgres))
        found += carry_redis.compare(target.redis, folder)
        if found:
            more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            raise JeexError(
                f"the copy is not the same as the original: {found[0]}",
                code="CARRY_MISMATCH",
                detail="\n".join([*found[:_SHOWN], *more]),
                hint="end whatever works with the databases, then run the same command again",
                data={"differences": found},
            )
        said("counts and checksums agree")


@contextmanager
def step(report: Report, name: str, text: str) -> Iterator[Callable[[str], None]]:
    """Report a step with its time; what is said to it stands beside it."""
    began = time.monotonic()
    details: list[str] = []
    report(Step(name, text, "running"))
    try:
        yield details.append
    except BaseException as error:
        why = (
            error.message if isinstance(error, JeexError) else "interrupted" if isinstance(error, KeyboardInterrupt) else ""
        )
        report(Step(name, text, "failed", time.monotonic() - began, why))
        raise
    report(Step(name, text, "done", time.monotonic() - began, ", ".join(details)))
