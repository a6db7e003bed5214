"""PostgreSQL: its data, and how the running server is set up. Who is connected: postgres_sessions.py;
what keeps tenants apart: postgres_isolation.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import MigrateDatabase, RemoveFiles, RunSql, SetPasswords
from jeex_cli.errors import JeexError

_GROUP = "postgres"


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
    """Roles by what the server makes of the passwords that they have in `.env`, each with its variable.

    `untried` are those that it gave no answer to.
    """

    refused: tuple[tuple[str, str], ...]
    accepted: tuple[tuple[str, str], ...]
    untried: tuple[tuple[str, str], ...]
    env_file: Path


@dataclass(frozen=True, slots=True)
class Server:
    """The running server. `settings` are by name the value and "ALTER SYSTEM" where that has set it, "" elsewhere.

    `careless`: who commits without waiting for the disk, as ALTER takes it: ROLE jeex_app, DATABASE jeex. `revisions`:
    those that the database says it is at; `known`: those of this installation, oldest first. `enabling` is the command for
    checksums.
    """

    checksums: bool
    checksum_failures: int
    enabling: str
    settings: dict[str, tuple[str, str]]
    careless: tuple[str, ...]
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
    if facts.refused:
        first, *others = (name for _, name in facts.refused)
        rest = f" (nor {', '.join(others)})" if others else ""
        # Without the superuser's own, nobody can give the others theirs.
        superuser = any(role == "postgres" for role, _ in facts.accepted)
        repair = SetPasswords(facts.refused) if superuser else None
        old = f"put the old password back into {facts.env_file}; jeex config show tells where it comes from"
        return fail(
            f"PostgreSQL does not accept {first}{rest}: its data was made with another password",
            fix=f"{old}; or {repair.text}" if repair else old,
            repair=repair,
            code="PASSWORD_MISMATCH",
        )
    if facts.untried:
        names = ", ".join(name for _, name in facts.untried)
        return unknown(f"PostgreSQL gave no answer to {names}", fix="jeex doctor --only postgres")
    return ok(f"{len(facts.accepted)} passwords of .env are accepted")


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
    if not off and not facts.careless:
        return ok("what is committed is on the disk")
    altered = [f"ALTER SYSTEM RESET {name}" for name, source in off.items() if source]
    resets = [f"ALTER {who} RESET synchronous_commit" for who in facts.careless]
    statements = (*altered, *(["SELECT pg_reload_conf()"] if altered else ()), *resets)
    evidence = [f"{name} = off, {source or 'given when the server was started'}" for name, source in off.items()]
    evidence += [f"synchronous_commit = off, for {who}" for who in facts.careless]
    names = dict.fromkeys([*off, *(["synchronous_commit"] if facts.careless else ())])
    return fail(
        f"{', '.join(names)}: off; a power cut can lose what was committed, or all data",
        evidence,
        fix="; ".join(statements) or "take it out of the server's command in compose.yaml, then: jeex up",
        repair=RunSql(statements) if statements else None,
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
        "postgres-migrations",
        "the database is at the newest revision",
        "Compares what the database says of itself with the revisions of this installation: behind, ahead of it, or forked.",
        postgres_migrations,
        ("migrate", "api"),
    ),
)
