"""PostgreSQL's part of carrying data: dump, restore, and what both sides are compared by.

The source is held for as long as it is read: its tables take no writes, and the dump and the numbers are of one snapshot.
The hold is a transaction's, so that no kill of jeex leaves anything locked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jeex_cli import proc
from jeex_cli.errors import JeexError, NotReady, TimedOut
from jeex_cli.ops.carry_connection import Connection, as_superuser

DATABASES = ("jeex", "jeex_vault")
TOOLS = ("pg_dump", "pg_restore")
# Partitions are tables of their own. What belongs to an extension comes with the extension.
RELATIONS = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relkind = 'S' AS sequence
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1
"""
# The sum does not ask for an order; unlike XOR, it sees that a row is there twice.
_OF_A_TABLE = """
SELECT count(*), coalesce(sum(hashtextextended(the_row::text COLLATE "C", 0)::numeric), 0)::text
  FROM ONLY {name} AS the_row
"""
_OF_A_SEQUENCE = "SELECT 1, last_value || ' ' || is_called FROM {name}"

Fact = tuple[int, str]  # rows and their checksum
Facts = dict[str, Fact]  # by `database: schema.table`


@dataclass(frozen=True, slots=True)
class Server:
    """A server as its superuser reaches it from this machine. `tools` is the folder of pg_dump; `env` what programs see."""

    port: int
    password: str = field(repr=False)
    tools: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = "127.0.0.1"
    user: str = "postgres"

    def check(self) -> None:
        """Raise NotReady where a program is missing."""
        for name in TOOLS:
            if not os.access(self.tools / name, os.X_OK):
                raise NotReady(
                    f"{self.tools} has no {name}, which copies the database",
                    code="PROGRAM_MISSING",
                    hint="remove JEEX_POSTGRES_BIN to use the programs of the wheel, or name a folder that has it",
                )

    def run(self, tool: str, *arguments: str, database: str, timeout: float) -> None:
        """Run one of TOOLS to its end, at most `timeout` seconds. Raises JeexError, TimedOut."""
        env = {
            **self.env,
            **{"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": database},
            **{"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10"},
        }
        argv = [str(self.tools / tool), "--no-password", *arguments]
        try:
            ran = proc.run(argv, env=env, cwd=self.tools, timeout=max(1.0, timeout))
        except TimedOut as error:
            raise too_late(f"{tool} of the database {database}") from error
        if ran.returncode:
            said = "\n".join(ran.stderr.strip().splitlines()[:8])
            raise JeexError(f"{tool} could not copy the database {database}", code="CARRY_FAILED", detail=said)


def connected(server: Server, database: str) -> AbstractContextManager[Connection]:
    """A connection as the superuser. Raises JeexError."""
    return as_superuser(server.host, server.port, server.user, server.password, database)


@dataclass(frozen=True, slots=True)
class Held:
    """The databases of a server, held still: nothing is written to them while this is used."""

    server: Server
    connections: Mapping[str, Connection]
    snapshots: Mapping[str, str]

    def dump(self, folder: Path, *, timeout: float) -> None:
        """Write `folder`/<database>.dump, mode 0600. Raises JeexError, TimedOut."""
        for database in DATABASES:
            file = dump_of(folder, database)
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            arguments = ("--format=custom", "--compress=1", f"--snapshot={self.snapshots[database]}", f"--file={file}")
            self.server.run("pg_dump", *arguments, database=database, timeout=timeout)

    def facts(self) -> Facts:
        """Rows and checksum of every table, the state of every sequence."""
        return _facts(self.connections)

    def old_logins(self) -> list[str]:
        """Logins that Vault has made and that nobody has given back."""
        rows = self.connections["jeex"].fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1")
        return [row["rolname"] for row in rows]


@contextmanager
def held(server: Server) -> Iterator[Held]:
    """Keep both databases as they are until the end, reading goes on. Raises JeexError where somebody is writing to them."""
    with ExitStack() as stack:
        connections = {name: stack.enter_context(connected(server, name)) for name in DATABASES}
        snapshots = {}
        for database, one in connections.items():
            tables = [row["name"] for row in one.fetch(RELATIONS) if not row["sequence"]]
            one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            if tables:  # before the snapshot: it must not be older than the last write
                one.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")
            snapshots[database] = str(one.fetch("SELECT pg_export_snapshot() AS id")[0]["id"])
        yield Held(server, connections, snapshots)


def restore(server: Server, folder: Path, *, timeout: float) -> None:
    """Bring in what `Held.dump` wrote, each database whole or not at all, with its owners, rights and policies.

    What bootstrap.sql has made and the dump has too is replaced. Raises JeexError, TimedOut.
    """
    for database in DATABASES:
        arguments = ("--clean", "--if-exists", "--exit-on-error", "--single-transaction", f"--dbname={database}")
        server.run("pg_restore", *arguments, str(dump_of(folder, database)), database=database, timeout=timeout)
        with connected(server, database) as one:
            one.execute("ANALYZE")


def forget_audit_devices(server: Server, database: str = DATABASES[1]) -> None:
    """Have OpenBao take its audit devices from its configuration, as on its first start.

    Where it writes its audit log differs between the runtimes, and it does not start with a device that has changed. Devices
    of any other origin it does not have: its API makes none.
    """
    with connected(server, database) as one:
        if one.fetch("SELECT 1 WHERE to_regclass('public.openbao_kv_store') IS NOT NULL"):
            one.execute("DELETE FROM public.openbao_kv_store WHERE path = '/core/' AND key = 'audit'")


def facts(server: Server) -> Facts:
    """Rows and checksum of every table, the state of every sequence, by `database: schema.table`."""
    with ExitStack() as stack:
        return _facts({name: stack.enter_context(connected(server, name)) for name in DATABASES})


def is_fresh(server: Server) -> bool:
    """Whether the database is as bootstrap.sql makes it."""
    with connected(server, DATABASES[0]) as one:
        return not one.fetch(RELATIONS)


def differences(before: Facts, after: Facts) -> list[str]:
    """What is not the same, in words."""
    found = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None:
            found.append(f"{name} was not there before")
        elif now is None:
            found.append(f"{name} is missing")
        elif was[0] != now[0]:
            found.append(f"{name} had {was[0]} rows and has {now[0]}")
        elif tuple(was) != tuple(now):
            found.append(f"{name} has other values than before")
    return found


def too_late(what: str) -> TimedOut:
    """The error for a copy that took longer than the command may."""
    return TimedOut(f"{what} was not copied in time", hint="give it more time: the same command with --timeout 3600")


def dump_of(folder: Path, database: str) -> Path:
    return folder / f"{database}.dump"


def _facts(connections: Mapping[str, Connection]) -> Facts:
    found: Facts = {}
    for database, one in connections.items():
        for row in one.fetch(RELATIONS):
            query = _OF_A_SEQUENCE if row["sequence"] else _OF_A_TABLE
            count, checksum = one.fetch(query.format(name=row["name"]))[0]
            found[f"{database}: {row['name']}"] = (int(count), str(checksum))
    return found
