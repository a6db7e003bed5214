"""PostgreSQL's part of a snapshot: both databases at one moment, and new ones that take the place of old ones at once.

A restore fills databases of other names, and one transaction renames all four: whenever it is killed, `jeex` and
`jeex_vault` are what they were, or both are what they are to be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from jeex_cli import proc
from jeex_cli.errors import JeexError
from jeex_cli.ops import carry_database
from jeex_cli.ops.carry_connection import Connection
from jeex_cli.ops.carry_database import DATABASES, RELATIONS, Held, Server, connected, dump_of
from jeex_cli.project import bundled
from jeex_cli.runtimes.programs.postgres import run_script
from jeex_cli.session import Session

OWNERS: Mapping[str, str] = {"jeex": "jeex_owner", "jeex_vault": "jeex_vault"}
_MAINTENANCE = "postgres"  # databases are made, renamed and dropped from here
_ATTEMPTS = 5
_JOBS = min(4, os.cpu_count() or 1)  # indexes that are built at once


@contextmanager
def at_one_point(server: Server, meanwhile: Callable[[], None]) -> Iterator[Held]:
    """Both databases as they are at one moment. Who writes waits while that is found and `meanwhile` runs, not longer.

    Raises JeexError, DATABASE_IN_USE where a transaction writes for more than ten seconds.
    """
    with ExitStack() as readers:
        connections = {name: readers.enter_context(connected(server, name)) for name in DATABASES}
        with ExitStack() as lockers:
            for name in DATABASES:
                locker = lockers.enter_context(connected(server, name))
                locker.execute("BEGIN")
                if tables := _tables(locker):
                    locker.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")
            snapshots = {}
            for name, one in connections.items():
                one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                snapshots[name] = str(one.fetch("SELECT pg_export_snapshot() AS id")[0]["id"])
            meanwhile()
        yield Held(server, connections, snapshots)


def rows(connections: Mapping[str, Connection]) -> dict[str, int]:
    """Of every table, by `database: schema.table`."""
    found = {}
    for database, one in connections.items():
        for table in _tables(one):
            found[f"{database}: {table}"] = int(one.fetch(f"SELECT count(*) AS n FROM ONLY {table}")[0]["n"])  # noqa: S608
    return found


def head(connection: Connection) -> str | None:
    """The revision that the schema is at."""
    if not connection.fetch("SELECT 1 WHERE to_regclass('public.alembic_version') IS NOT NULL"):
        return None
    found = connection.fetch("SELECT version_num FROM public.alembic_version")
    return str(found[0]["version_num"]) if found else None


def version(server: Server) -> str:
    """`18.1`. Raises JeexError."""
    with connected(server, _MAINTENANCE) as one:
        return str(one.fetch("SELECT split_part(current_setting('server_version'), ' ', 1) AS v")[0]["v"])


def listed(server: Server, folder: Path) -> None:
    """Have pg_restore list both archives. Raises JeexError where it cannot read one."""
    for database in DATABASES:
        argv = [str(server.tools / "pg_restore"), "--list", str(dump_of(folder, database))]
        ran = proc.run(argv, env=server.env, cwd=server.tools, timeout=120)
        if ran.returncode:
            raise JeexError(
                f"the dump of the database {database} cannot be read back",
                code="SNAPSHOT_UNREADABLE",
                detail=ran.stderr.strip(),
                hint="run the same command again; jeex doctor looks at the disk",
            )


def make(server: Server) -> None:
    """Empty databases for what is restored, nobody's but their owners'; whatever an earlier restore left there is
    dropped.
    """
    drop_new(server)
    with connected(server, _MAINTENANCE) as one:
        for database, owner in OWNERS.items():
            one.execute(f"CREATE DATABASE {_new(database)} OWNER {owner} TEMPLATE template0")
            one.execute(f"REVOKE ALL ON DATABASE {_new(database)} FROM PUBLIC")


def fill(server: Server, folder: Path, *, timeout: float) -> None:
    """Bring the dumps in, with their owners, rights and policies. As the superuser, who runs what stands in them: only a
    manifest with the right MAC gets them here. Raises JeexError, TimedOut.
    """
    # Nothing looks at these databases yet, so not each of hundreds of commits has to wait for the disk: those of ANALYZE do,
    # and what is on the disk before them in the log is too.
    eager = replace(server, env={**server.env, "PGOPTIONS": "-c synchronous_commit=off -c maintenance_work_mem=128MB"})
    for database in DATABASES:
        arguments = ("--exit-on-error", f"--jobs={_JOBS}", f"--dbname={_new(database)}")
        eager.run("pg_restore", *arguments, str(dump_of(folder, database)), database=_new(database), timeout=timeout)
        with connected(server, _new(database)) as one:
            one.execute("ANALYZE")


def new_rows(server: Server) -> dict[str, int]:
    """`rows` of what was filled, under the names that it will have."""
    with ExitStack() as stack:
        return rows({name: stack.enter_context(connected(server, _new(name))) for name in DATABASES})


def forget_audit_devices(server: Server) -> None:
    """As carry_database does, in what was filled."""
    carry_database.forget_audit_devices(server, _new(DATABASES[1]))


def is_filled(server: Server) -> bool:
    """Whether what was filled still waits to take its place."""
    return _new(DATABASES[0]) in _existing(server)


def swap(server: Server) -> None:
    """Give what was filled the names of what there is, in one transaction. Sessions that are in the way are ended."""
    _drop(server, _old)
    for attempt in range(_ATTEMPTS):
        try:
            _rename(server)
        except JeexError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.2 * (attempt + 1))  # a session that came between
        else:
            return


def settle(session: Session, server: Server) -> None:
    """Roles, passwords and rights as bootstrap.sql has them. Vault may know of a password that is not in use any more."""
    environment = session.stack.service("postgres").environment
    given = {name: text for name, text in environment.items() if name.startswith("JEEX_DB_")}
    where = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.user, "PGDATABASE": _MAINTENANCE}
    env = {**session.place.base_env, **given, **where, "PGPASSWORD": server.password}
    ran = run_script(bundled("templates") / "postgres" / "bootstrap.sql", env, session.place)
    if ran.returncode:
        raise JeexError("PostgreSQL refused to set up its roles", code="RESTORE_FAILED", detail=ran.stderr.strip())


def drop_new(server: Server) -> None:
    """Drop what was filled, and does not take a place."""
    with connected(server, _MAINTENANCE) as one:  # whoever was broken off may have left a server that is still making one
        one.fetch(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE query LIKE 'CREATE DATABASE jeex%' AND pid <> pg_backend_pid()"
        )
    _drop(server, _new)


def drop_old(server: Server) -> None:
    """Drop what was replaced."""
    _drop(server, _old)


def _rename(server: Server) -> None:
    there = _existing(server)
    with connected(server, _MAINTENANCE) as one:
        names = ", ".join(f"'{name}', '{_new(name)}'" for name in DATABASES)
        one.fetch(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN ({names})")  # noqa: S608
        one.execute("BEGIN")
        for name in DATABASES:
            if name in there:
                one.execute(f"ALTER DATABASE {name} RENAME TO {_old(name)}")
            one.execute(f"ALTER DATABASE {_new(name)} RENAME TO {name}")
        one.execute("COMMIT")


def _drop(server: Server, named: Callable[[str], str]) -> None:
    there = _existing(server)
    with connected(server, _MAINTENANCE) as one:
        for name in DATABASES:
            if named(name) in there:
                one.execute(f"DROP DATABASE IF EXISTS {named(name)} WITH (FORCE)")


def _existing(server: Server) -> set[str]:
    with connected(server, _MAINTENANCE) as one:
        return {str(row["datname"]) for row in one.fetch("SELECT datname FROM pg_database")}


def _tables(connection: Connection) -> list[str]:
    return [str(row["name"]) for row in connection.fetch(RELATIONS) if not row["sequence"]]


def _new(database: str) -> str:
    return f"{database}_restoring"


def _old(database: str) -> str:
    return f"{database}_replaced"
