"""Migrations as functions: what `python -m service migrate` and `jeex db` call.

Every `owner_url` is a `postgresql://` URL of the database's owner. Errors: DatabaseUnavailable when it cannot be reached,
MigrationFailed when a revision does not work, is unknown, or another process is at it for too long.

A database that is at the target costs one connection and one statement; SQLAlchemy and Alembic are loaded only when
there is something to do.

A statement waits for a table in use for LOCK_TIMEOUT; then the revision is taken back and tried again after a pause, still
under the lock that keeps other migrations away (lock.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from migrations.engine import CONNECT_TIMEOUT, LockTimedOut, with_engine
from migrations.lock import KEY, holders, only_one
from migrations.progress import Listener, Progress
from migrations.revisions import Revision, head, history
from service.core.errors import DatabaseUnavailable, MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = ["Listener", "Revision", "Status", "UpgradeResult", "downgrade", "head", "history", "status", "upgrade"]

T = TypeVar("T")

# Pauses before a revision that ran into it is tried again, in seconds; each is made half as long to half as long again, so
# that two who stand in each other's way do not meet again.
PAUSES = (1.0, 2.0, 4.0)
# How long to wait for another process that is migrating.
WAIT = 120.0  # seconds


_STATE = """
SELECT ARRAY(SELECT relname::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid
              WHERE NOT indisvalid AND relnamespace = 'public'::regnamespace ORDER BY 1),
       EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::bigint::oid AND classid = 0 AND granted
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """The revisions before and after (None: an empty database), and those that were applied, in order."""

    before: str | None
    after: str | None
    applied: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The database's revision (None: an empty database), that of this installation, and what lies between, in order.

    `invalid` are indexes that were broken off halfway; `migrating` says whether a migration is under way at this moment.
    """

    current: str | None
    head: str
    pending: tuple[Revision, ...]
    invalid: tuple[str, ...] = ()
    migrating: bool = False


def upgrade(
    owner_url: str,
    target: str = "head",
    *,
    on_revision: Callable[[Revision], None] | None = None,
    listener: Listener | None = None,
    wait: float = WAIT,
) -> UpgradeResult:
    """Bring the database up to `target` (a revision, or "head"). Twice is the same as once.

    `on_revision` is called after each revision that was applied, `listener` told more. A database beyond `target` stays as
    it is. MigrationFailed says how far it came.
    """
    told = listener or (Listener(ended=on_revision) if on_revision else Listener())
    return asyncio.run(_move(owner_url, target, told, wait, up=True))


def downgrade(owner_url: str, target: str, *, listener: Listener | None = None, wait: float = WAIT) -> UpgradeResult:
    """Take the database back to `target` (a revision, or "base" for none). What the revisions brought is lost."""
    return asyncio.run(_move(owner_url, target, listener or Listener(), wait, up=False))


def inspect(owner_url: str, work: Callable[[Connection], T]) -> T:
    """What `work` answers, given an SQLAlchemy connection of the owner; takes no lock, for it changes nothing."""

    async def run() -> T:
        async with _connected(owner_url):  # whoever is refused, or finds nobody, is told so in our words
            pass
        return await with_engine(owner_url, work)

    return asyncio.run(run())


def status(owner_url: str) -> Status:
    """Where the database stands. A revision that this installation does not know has nothing pending before it."""

    async def look() -> Status:
        async with _connected(owner_url) as connection:
            current = await _current(connection)
            invalid, migrating = await connection.fetchrow(_STATE, KEY)
        line = history()
        known = [one.id for one in line]
        pending = line[known.index(current) + 1 if current else 0 :] if current is None or current in known else ()
        return Status(current, line[-1].id, pending, tuple(invalid), migrating)

    return asyncio.run(look())


async def locked(owner_url: str, work: Callable[[Connection], None], *, wait: float = WAIT) -> None:
    """Run `work` with an SQLAlchemy connection of the owner while nobody else migrates."""
    async with _connected(owner_url) as connection, only_one(connection, wait=wait):
        await with_engine(owner_url, work)


async def _move(owner_url: str, target: str, listener: Listener, wait: float, *, up: bool) -> UpgradeResult:
    line = history()
    order = {one.id: place for place, one in enumerate(line)}
    wanted = _place(target, order)

    async with _connected(owner_url) as connection:
        current = await _current(connection)
        if _arrived(current, wanted, order, up=up):
            return UpgradeResult(current, current, ())
        async with only_one(connection, wait=wait):
            before = await _current(connection)
            if _arrived(before, wanted, order, up=up):  # whoever had the lock has done it
                return UpgradeResult(current, before, ())
            progress = Progress(line, wanted, listener, up=up)
            for pause in (*PAUSES, None):
                progress.at(await _current(connection))
                try:
                    await with_engine(owner_url, lambda one: _run_alembic(one, line, wanted, progress), watch=progress.watch)
                    break
                except LockTimedOut as error:
                    if pause is None:
                        raise progress.failed(error, await holders(connection)) from error
                    seconds = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spread, not secrecy
                    listener.waits(seconds, await holders(connection))
                    await asyncio.sleep(seconds)
                except MigrationFailed as error:
                    raise progress.failed(error) from error
            return UpgradeResult(before, await _current(connection), tuple(progress.applied))


def _place(target: str, order: dict[str, int]) -> int:
    if target in ("head", "base"):
        return len(order) - 1 if target == "head" else -1
    if target not in order:
        raise MigrationFailed(f"there is no revision {target!r}; there are {', '.join(order)}", code="REVISION_UNKNOWN")
    return order[target]


def _arrived(current: str | None, wanted: int, order: dict[str, int], *, up: bool) -> bool:
    if current is not None and current not in order:
        raise MigrationFailed(
            f"the database is at revision {current}, which this version of the platform does not know",
            code="REVISION_UNKNOWN",
            hint="use the version that migrated it, or a newer one",
        )
    at = order[current] if current else -1
    return at >= wanted if up else at <= wanted


def _run_alembic(connection: Connection, line: tuple[Revision, ...], wanted: int, progress: Progress) -> None:
    from alembic import command
    from alembic.config import Config

    # By path, so that it works from a wheel and from any folder.
    config = Config(Path(__file__).with_name("alembic.ini"))
    config.attributes.update(connection=connection, on_version_apply=progress.on_version_apply)
    if progress.up:
        command.upgrade(config, line[wanted].id)
    else:
        command.downgrade(config, line[wanted].id if wanted >= 0 else "base")


@asynccontextmanager
async def _connected(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(
            owner_url, timeout=CONNECT_TIMEOUT, server_settings={"application_name": "jeex-migrate"}
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise DatabaseUnavailable(f"PostgreSQL refuses the owner: {error}", code="DATABASE_REFUSED") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)


async def _current(connection: asyncpg.Connection) -> str | None:
    try:
        found = await connection.fetchval("SELECT version_num FROM public.alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return None if found is None else str(found)
