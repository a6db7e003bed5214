"""Who is connected to PostgreSQL: whether there is room, and who holds up whom."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, warn

_GROUP = "postgres"
_WAITING = 5.0  # seconds for a lock; a migration gives up after as many
_OPEN = 600.0  # seconds for a transaction
_MANY, _ALMOST_ALL = 0.8, 0.95  # of all connections


@dataclass(frozen=True, slots=True)
class Room:
    """Connections in use, of how many. `full`: not even the superuser's reserve is left, so nobody could count."""

    used: int
    most: int
    full: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """A session that works: `waits` seconds for a lock (0: for none) of `blocked_by`, `open` seconds of its transaction.

    `does` is the first word of its statement, and the table that it waits for: the rest may be anybody's data.
    """

    pid: int
    user: str
    waits: float
    open: float
    does: str
    blocked_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sessions:
    """All that work or have a transaction open."""

    sessions: tuple[Activity, ...]


def postgres_connections(facts: Room) -> Verdict:
    how = "close what is not needed (jeex restart api); or more: JEEX_POSTGRES_MAX_CONNECTIONS=200 in .env, then jeex up"
    if facts.full:
        return fail("no connection is left, not even the superuser's", fix=how, code="CONNECTIONS_FULL")
    share = facts.used / facts.most
    said = f"{facts.used} of {facts.most} connections are in use"
    if share < _MANY:
        return ok(said)
    return fail(said, fix=how, code="CONNECTIONS_FULL") if share >= _ALMOST_ALL else warn(said, fix=how)


def postgres_locks(facts: Sessions) -> Verdict:
    waiting = [one for one in facts.sessions if one.waits > _WAITING]
    blockers = {pid for one in waiting for pid in one.blocked_by}
    lasting = [one for one in facts.sessions if one.open > _OPEN]
    evidence = [
        f"pid {one.pid} ({one.user}) waits {one.waits:.0f} s for {', '.join(map(str, one.blocked_by))}: {one.does}"
        for one in waiting
    ]
    evidence += [
        f"pid {one.pid} ({one.user}) has a transaction open for {one.open:.0f} s: {one.does}"
        for one in facts.sessions
        if one.pid in blockers or one in lasting
    ]
    if waiting:
        # Of a queue, the one at its head: whoever waits does not hold it up.
        holder = min(blockers - {one.pid for one in waiting}, default=min(blockers, default=waiting[0].pid))
        return warn(
            f"pid {holder} holds up {len(waiting)} other session{'s' if len(waiting) > 1 else ''} with its locks",
            evidence,
            fix=f"end its transaction; or, and its work is lost: {_end(holder)}",
        )
    if lasting:
        return warn(
            f"pid {lasting[0].pid} has had a transaction open for {lasting[0].open / 60:.0f} minutes",
            evidence,
            fix=f"end it: as long as it is open, dead rows stay and locks are held; or: {_end(lasting[0].pid)}",
        )
    return ok("nobody waits for a lock")


def _end(pid: int) -> str:
    return f"jeex db shell --role superuser -- -c 'SELECT pg_terminate_backend({pid})'"


CHECKS = (
    Check(
        "postgres-connections",
        _GROUP,
        "connections are left",
        "Each process has a pool. Past max_connections PostgreSQL refuses everybody. Warns at 80 %, fails at 95 %.",
        Room,
        postgres_connections,
        ("postgres", "api", "migrate"),
    ),
    Check(
        "postgres-locks",
        _GROUP,
        "nobody waits long for a lock",
        "Looks for sessions that have waited more than 5 seconds for a lock, who holds it, and transactions that "
        "have been open for 10 minutes. To end one loses its work, so that is left to you.",
        Sessions,
        postgres_locks,
        ("migrate",),
    ),
)
