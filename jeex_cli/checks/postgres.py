"""PostgreSQL: its data, and the running server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import MigrateDatabase, RemoveFiles, RunSql
from jeex_cli.errors import JeexError

_GROUP = "postgres"
_WAITING = 5.0  # seconds for a lock; a migration gives up after as many
_OPEN = 600.0  # seconds for a transaction
_MANY, _ALMOST_ALL = 0.8, 0.95  # of all connections


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The data directory. `refusal` is what `up` would say of it; `stale_lock` a postmaster.pid that nobody holds.

    `no_server`: why nobody knows what the server could read, "" where that is known.
    """

    refusal: JeexError | None
    no_server: str
    version: str | None
    stale_lock: Path | None


@dataclass(frozen=True, slots=True)
class Access:
    """Variables whose password the server does not take, and those that it takes."""

    refused: tuple[str, ...]
    accepted: tuple[str, ...]
    env_file: Path


@dataclass(frozen=True, slots=True)
class Activity:
    """A session that waits or holds up: `seconds` it waits for a lock (0: it waits for none), `open` of its transaction."""

    pid: int
    user: str
    seconds: float
    open: float
    query: str
    blocked_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """What a role of ours may do beyond what bootstrap.sql gives."""

    name: str
    superuser: bool
    bypasses: bool


@dataclass(frozen=True, slots=True)
class Server:
    """The running server. `settings` are by name the value and "ALTER SYSTEM" where that has set it, "" elsewhere.

    `revisions`: those that the database says it is at; `known`: those of this installation, oldest first; `unprotected`:
    tables with a tenant_id of which row security does not hold for everybody. `enabling` is the command for checksums.
    """

    checksums: bool
    checksum_failures: int
    enabling: str
    settings: dict[str, tuple[str, str]]
    used: int
    most: int
    sessions: tuple[Activity, ...]
    roles: tuple[Role, ...]
    unprotected: tuple[str, ...]
    revisions: tuple[str, ...]
    known: tuple[str, ...]


def postgres_version(facts: DataFiles) -> Verdict:
    if facts.refusal is not None:
        return refused(facts.refusal)
    if facts.no_server and facts.version:
        return unknown(facts.no_server)
    return ok(
        f"the data is of PostgreSQL {facts.version}, and so is the server" if facts.version else "there is no data yet"
    )


def postgres_lock(facts: DataFiles) -> Verdict:
    if facts.stale_lock is not None:
        return warn(
            f"{facts.stale_lock.name} is left of a PostgreSQL that was killed; no process works on this data",
            [str(facts.stale_lock)],
            fix="jeex up removes it and recovers what was not flushed",
            repair=RemoveFiles((facts.stale_lock,)),
        )
    return ok("no lock is left of a killed server")


def postgres_password(facts: Access) -> Verdict:
    if not facts.refused:
        return ok(f"{len(facts.accepted)} passwords of .env are accepted")
    first = facts.refused[0]
    rest = f" (nor {', '.join(facts.refused[1:])})" if len(facts.refused) > 1 else ""
    return fail(
        f"PostgreSQL does not accept {first}{rest}: its data was made with another password",
        fix=f"put the old password back into {facts.env_file}; jeex config show tells where it comes from",
        code="PASSWORD_MISMATCH",
    )


def postgres_checksums(facts: Server) -> Verdict:
    if facts.checksum_failures:
        return fail(
            f"{facts.checksum_failures} blocks of data did not have the checksum that they were written with",
            fix="the disk is failing: stop, copy the data (jeex down), and put back the last backup",
        )
    if not facts.checksums:
        return warn(
            "data checksums are off: a block that the disk has damaged is not noticed",
            fix=f"jeex down; {facts.enabling}; jeex up",
        )
    return ok("data checksums are on, and none was wrong")


def postgres_durability(facts: Server) -> Verdict:
    off = {name: source for name, (value, source) in facts.settings.items() if value == "off"}
    if not off:
        return ok("what is committed is on the disk")
    altered = tuple(name for name, source in off.items() if source)
    return fail(
        f"{', '.join(off)}: off; a power cut can lose what was committed, or all data",
        [f"{name} = off, {source or 'given when the server was started'}" for name, source in off.items()],
        fix="take it out of the server's command in compose.yaml, then: jeex up"
        if not altered
        else "; ".join(f"ALTER SYSTEM RESET {name}" for name in altered) + "; SELECT pg_reload_conf()",
        repair=RunSql((*(f"ALTER SYSTEM RESET {name}" for name in altered), "SELECT pg_reload_conf()")) if altered else None,
    )


def postgres_connections(facts: Server) -> Verdict:
    share = facts.used / facts.most
    said = f"{facts.used} of {facts.most} connections are in use"
    if share < _MANY:
        return ok(said)
    how = "close what is not needed (jeex restart api); or more: JEEX_POSTGRES_MAX_CONNECTIONS=200 in .env, then jeex up"
    return fail(said, fix=how, code="CONNECTIONS_FULL") if share >= _ALMOST_ALL else warn(said, fix=how)


def postgres_locks(facts: Server) -> Verdict:
    waiting = [one for one in facts.sessions if one.seconds > _WAITING]
    blockers = {pid for one in waiting for pid in one.blocked_by}
    lasting = [one for one in facts.sessions if one.open > _OPEN]
    evidence = [
        f"pid {one.pid} ({one.user}) waits {one.seconds:.0f} s for {', '.join(map(str, one.blocked_by))}: {one.query}"
        for one in waiting
    ]
    evidence += [
        f"pid {one.pid} ({one.user}) has a transaction open for {one.open:.0f} s: {one.query}"
        for one in facts.sessions
        if one.pid in blockers or one in lasting
    ]
    if waiting:
        holder = min(blockers, default=waiting[0].pid)
        return warn(
            f"pid {holder} holds up {len(waiting)} other session{'s' if len(waiting) > 1 else ''} with its locks",
            evidence,
            fix=f"end its transaction; or: jeex db shell -- -c 'SELECT pg_terminate_backend({holder})' (its work is lost)",
        )
    if lasting:
        return warn(
            f"pid {lasting[0].pid} has had a transaction open for {lasting[0].open / 60:.0f} minutes",
            evidence,
            fix="end it: as long as it is open, dead rows stay and locks are held",
        )
    return ok("nobody waits for a lock")


def postgres_roles(facts: Server) -> Verdict:
    wide = [one for one in facts.roles if one.superuser or one.bypasses]
    if not wide:
        return ok("no role can pass row security by")
    rights = {one.name: "SUPERUSER" if one.superuser else "BYPASSRLS" for one in wide}
    name, right = next(iter(rights.items()))
    return fail(
        f"{name} is {right}: row security does not hold it, so tenants are not kept apart",
        [f"{one}: {what}" for one, what in rights.items()],
        fix="; ".join(f"ALTER ROLE {one} NOSUPERUSER NOBYPASSRLS" for one in rights),
        repair=RunSql(tuple(f'ALTER ROLE "{one}" NOSUPERUSER NOBYPASSRLS' for one in rights)),
    )


def postgres_row_security(facts: Server) -> Verdict:
    if not facts.unprotected:
        return ok("row security is forced on every table with a tenant")
    statements = tuple(f"ALTER TABLE {one} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY" for one in facts.unprotected)
    return fail(
        f"row security is not forced on {', '.join(facts.unprotected)}: tenants are not kept apart there",
        fix="; ".join(statements),
        repair=RunSql(statements),
    )


def postgres_migrations(facts: Server) -> Verdict:
    head = facts.known[-1]
    if len(facts.revisions) > 1:
        return fail(
            f"the database says that it is at {len(facts.revisions)} revisions at once: {', '.join(facts.revisions)}",
            fix="keep the row of alembic_version that is true, and delete the others",
            code="MIGRATIONS_FORKED",
        )
    if not facts.revisions:
        return fail("the database was never migrated", fix="jeex db migrate", repair=MigrateDatabase(), code="NOT_MIGRATED")
    current = facts.revisions[0]
    if current not in facts.known:
        return fail(
            f"the database is at revision {current}, which this version of jeex does not know: a newer one made it",
            [f"this version ends with {head}"],
            fix="install the version of jeex that made it (git pull; pip install -U jeex)",
            code="DATABASE_AHEAD",
        )
    behind = facts.known[facts.known.index(current) + 1 :]
    if behind:
        return fail(
            f"the database is {len(behind)} revision{'s' if len(behind) > 1 else ''} behind: at {current}, not at {head}",
            behind,
            fix="jeex db migrate",
            repair=MigrateDatabase(),
            code="DATABASE_BEHIND",
        )
    return ok(f"the database is at {head}, the newest revision")


def _live(id: str, title: str, explanation: str, judge: object, services: tuple[str, ...] = ()) -> Check:
    return Check(id, _GROUP, title, explanation, Server, judge, services)  # type: ignore[arg-type]


CHECKS = (
    Check(
        "postgres-version",
        _GROUP,
        "the server can read the data",
        "Each major version of PostgreSQL has data of its own kind. Data of another version is never touched: run "
        "that version, or set the data aside.",
        DataFiles,
        postgres_version,
        ("postgres",),
        before_up=True,
        runtime="embedded",
    ),
    Check(
        "postgres-lock",
        _GROUP,
        "no lock is left of a killed server",
        "A PostgreSQL that was killed leaves postmaster.pid. Where the process id in it is another program's by "
        "now, the server would refuse to start.",
        DataFiles,
        postgres_lock,
        runtime="embedded",
    ),
    Check(
        "postgres-password",
        _GROUP,
        "the server takes the passwords of .env",
        "A database keeps the passwords that it was made with. Another .env, or one that was made anew, opens nothing.",
        Access,
        postgres_password,
        ("postgres", "vault", "migrate", "seed", "api"),
    ),
    _live(
        "postgres-checksums",
        "data checksums are on, and none was wrong",
        "With checksums PostgreSQL notices a block that the disk has damaged, before it is used or backed up.",
        postgres_checksums,
        ("postgres",),
    ),
    _live(
        "postgres-durability",
        "what is committed is on the disk",
        "fsync, full_page_writes and synchronous_commit make a committed row outlive a power cut. People switch "
        "them off for speed, and forget it.",
        postgres_durability,
    ),
    _live(
        "postgres-connections",
        "connections are left",
        "Each process has a pool. Past max_connections PostgreSQL refuses everybody. Warns at 80 %, fails at 95 %.",
        postgres_connections,
        ("postgres", "api", "migrate"),
    ),
    _live(
        "postgres-locks",
        "nobody waits long for a lock",
        "Looks for sessions that have waited more than 5 seconds for a lock, who holds it, and transactions that "
        "have been open for 10 minutes. To end one loses its work, so that is left to you.",
        postgres_locks,
        ("migrate",),
    ),
    _live(
        "postgres-roles",
        "row security holds every role of the stack",
        "Tenants are kept apart by PostgreSQL itself. A role with SUPERUSER or BYPASSRLS sees every tenant's rows.",
        postgres_roles,
    ),
    _live(
        "postgres-row-security",
        "row security is forced on every tenant's table",
        "Each table with a tenant_id has row security, forced so that its owner is held, too.",
        postgres_row_security,
    ),
    _live(
        "postgres-migrations",
        "the database is at the newest revision",
        "Compares what the database says of itself with the revisions of this installation: behind, ahead of it, or forked.",
        postgres_migrations,
        ("migrate", "api"),
    ),
)
