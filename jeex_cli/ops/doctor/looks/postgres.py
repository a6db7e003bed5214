"""Looks at PostgreSQL: at its files, and as the superuser at the running server."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from jeex_cli import proc
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.postgres import Access, DataFiles, Server
from jeex_cli.checks.postgres_sessions import Activity, Room, Sessions
from jeex_cli.errors import DataError, NotReady
from jeex_cli.ops.doctor.looks.services import running
from jeex_cli.runtimes.programs.base import in_namespace
from jeex_cli.runtimes.programs.known import PROGRAMS
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")

_PATIENCE = 2.0  # seconds for everything
_DATABASE = "jeex"
_SUPERUSER = ("postgres", "JEEX_POSTGRES_PASSWORD")
# That of jeex_logins is Vault's to change. By role: the variable, and where it may connect.
_PASSWORDS = {
    "jeex_owner": ("JEEX_DB_OWNER_PASSWORD", _DATABASE),
    "jeex_app": ("JEEX_DB_APP_PASSWORD", _DATABASE),
    "jeex_admin": ("JEEX_DB_ADMIN_PASSWORD", _DATABASE),
    "jeex_vault": ("JEEX_DB_VAULT_PASSWORD", "jeex_vault"),
}
_SETTINGS = """
SELECT name, setting, CASE WHEN sourcefile LIKE '%postgresql.auto.conf' THEN 'ALTER SYSTEM' ELSE '' END FROM pg_settings
"""
# Of a role, of a database, or of a role in a database: what a session starts with in place of the server's own.
_CARELESS = """
SELECT concat_ws(' IN ', 'ROLE ' || quote_ident(rolname), 'DATABASE ' || quote_ident(datname))
  FROM pg_db_role_setting
  LEFT JOIN pg_roles AS role ON role.oid = setrole LEFT JOIN pg_database AS base ON base.oid = setdatabase
 WHERE 'synchronous_commit=off' = ANY (setconfig) ORDER BY 1
"""
# No more of a statement than its first word: what follows may be anybody's data, however it is quoted.
_SESSIONS = """
SELECT session.pid, coalesce(usename, '') AS user, coalesce(extract(epoch FROM now() - lock.since), 0)::float8 AS waits,
       coalesce(extract(epoch FROM now() - xact_start), 0)::float8 AS open,
       concat_ws(' on ', upper(substring(query FROM '^\\s*([A-Za-z]+)')), lock.what) AS does,
       CASE WHEN lock.pid IS NOT NULL THEN pg_blocking_pids(session.pid) ELSE '{}' END AS blocked_by
  FROM pg_stat_activity AS session
  LEFT JOIN (SELECT pid, min(waitstart) AS since, min(CASE WHEN database = (
               SELECT oid FROM pg_database WHERE datname = current_database()) THEN relation::regclass::text END) AS what
               FROM pg_locks WHERE NOT granted GROUP BY pid) AS lock ON lock.pid = session.pid
 WHERE backend_type = 'client backend' AND session.pid <> pg_backend_pid() AND state <> 'idle'
"""


class NoRoom(CannotLook):
    """Every connection is in use, the superuser's reserve, too."""


def look_at_files(session: Session) -> DataFiles:
    """The data directory, whether the server runs or not."""
    service = next((one for one in session.stack.services if one.program == "postgres"), None)
    if service is None:
        raise CannotLook("this stack has no postgres", expected=True)
    data = session.place.data(service)
    refusal: NotReady | None = None
    no_server = ""
    try:
        PROGRAMS["postgres"].check(service, session.place)
    except DataError as error:
        refusal = error
    except NotReady as error:
        if error.code == "POSTGRES_VERSION":
            refusal = error
        else:
            no_server = error.message
    version = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").is_file() else None
    lock = data / "postmaster.pid"
    return DataFiles(refusal, no_server, version, lock if lock.exists() and not proc.working_in(data) else None)


def look_at_access(session: Session) -> Access:
    """Tries the passwords of `.env` that do not change by themselves: the superuser's, then those of roles that there are.

    A role that is not made yet is refused in the same words as a wrong password, so the superuser is asked for them first.
    """
    service = running(session, "postgres")
    port, environment = service.host_port or 0, service.environment

    async def accepted(role: str, variable: str, database: str) -> bool | None:
        import asyncpg

        try:
            connection = await _connect(port, role, environment.get(variable, ""), database)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return None  # it has no connection left, or no such database yet: that is another finding
        await connection.close()
        return True

    async def every() -> dict[tuple[str, str], bool | None]:
        import asyncpg

        try:
            first = await _connect(port, "postgres", environment.get("POSTGRES_PASSWORD", ""), "postgres")
        except asyncpg.InvalidPasswordError:
            return {_SUPERUSER: False}
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise CannotLook(f"PostgreSQL lets nobody in: {error}") from error
        there = [row[0] for row in await first.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", [*_PASSWORDS])]
        await first.close()
        answers = await asyncio.gather(*(accepted(role, *_PASSWORDS[role]) for role in there))
        return {_SUPERUSER: True, **{(role, _PASSWORDS[role][0]): one for role, one in zip(there, answers, strict=True)}}

    answers = asyncio.run(every())
    refused, accepts, untried = (
        tuple(one for one, answer in answers.items() if answer is kind) for kind in (False, True, None)
    )
    return Access(refused, accepts, untried, session.project.env_file)


def look_at_room(session: Session) -> Room:
    """How many connections there are."""

    async def ask(connection: asyncpg.Connection[Any]) -> Room:
        return Room(
            await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"),
            int(await connection.fetchval("SELECT current_setting('max_connections')")),
        )

    try:
        return as_superuser(session, ask)
    except NoRoom:
        return Room(0, 0, full=True)


def look_at_sessions(session: Session) -> Sessions:
    """Who works, and who waits for whom."""

    async def ask(connection: asyncpg.Connection[Any]) -> Sessions:
        return Sessions(
            tuple(
                Activity(row["pid"], row["user"], row["waits"], row["open"], row["does"], tuple(row["blocked_by"]))
                for row in await connection.fetch(_SESSIONS)
            )
        )

    return as_superuser(session, ask)


def look(session: Session) -> Server:
    """The running server, as the superuser sees it."""

    async def ask(connection: asyncpg.Connection[Any]) -> Server:
        settings = {row[0]: (row[1], row[2]) for row in await connection.fetch(_SETTINGS)}
        revisions = []
        if await connection.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL"):
            revisions = [row[0] for row in await connection.fetch("SELECT version_num FROM alembic_version ORDER BY 1")]
        from migrations.revisions import history

        return Server(
            checksums=settings["data_checksums"][0] == "on",
            checksum_failures=await connection.fetchval(
                "SELECT coalesce(sum(checksum_failures), 0)::int8 FROM pg_stat_database"
            ),
            enabling=_enabling(session, settings["data_directory"][0]),
            settings={name: settings[name] for name in ("fsync", "full_page_writes", "synchronous_commit")},
            careless=tuple(row[0] for row in await connection.fetch(_CARELESS)),
            revisions=tuple(revisions),
            known=tuple(one.id for one in history()),
        )

    return as_superuser(session, ask)


def as_superuser(session: Session, work: Callable[[asyncpg.Connection[Any]], Awaitable[T]]) -> T:
    """What `work` makes of a connection to the stack's database. Raises CannotLook where there is none to be had."""
    service = running(session, "postgres")

    async def run() -> T:
        import asyncpg

        password = service.environment.get("POSTGRES_PASSWORD", "")
        try:
            connection = await _connect(service.host_port or 0, "postgres", password, _DATABASE)
        except asyncpg.InvalidPasswordError:
            raise CannotLook("PostgreSQL does not accept JEEX_POSTGRES_PASSWORD") from None
        except asyncpg.TooManyConnectionsError:
            raise NoRoom("PostgreSQL has no connection left, not even the superuser's") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise CannotLook(f"PostgreSQL lets nobody in: {error}") from error
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=1)

    return asyncio.run(run())


def _enabling(session: Session, data: str) -> str:
    """The command that turns checksums on, as whoever PostgreSQL runs as, where it runs."""
    if session.choice.name == "compose":
        volume = f"{session.stack.project}_postgres-data:/var/lib/postgresql"
        image = session.stack.service("postgres").image
        return f"docker run --rm --user postgres -v {volume} {image} pg_checksums --enable -D {data}"
    prefix = in_namespace() if os.geteuid() == 0 else None
    return shlex.join([*(prefix or ()), str(binaries(session.place) / "pg_checksums"), "--enable", "-D", data])


async def _connect(port: int, user: str, password: str, database: str) -> asyncpg.Connection[Any]:
    import asyncpg

    return await asyncpg.connect(
        host="127.0.0.1",
        port=port,
        user=user,
        password=password,
        database=database,
        ssl=False,
        timeout=_PATIENCE,
        command_timeout=_PATIENCE,
        server_settings={"application_name": "jeex-doctor"},
    )
