"""A connection to PostgreSQL that is used step by step, between programs that are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from jeex_cli.errors import JeexError

T = TypeVar("T")

_LOCK_TIMEOUT = "10s"
# What a row looks like as text must not depend on how a server or a database is set up.
_AS_TEXT = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": _LOCK_TIMEOUT,
}


class Connection:
    """One connection, used step by step. Its loop leaves Ctrl-C alone (`asyncio.run` would not), so that a program that is
    waited for between two steps can be interrupted."""

    def __init__(self, host: str, port: int, user: str, password: str, database: str) -> None:
        import asyncpg

        self._loop = asyncio.new_event_loop()
        try:
            self._made = self._wait(
                asyncpg.connect(
                    host=host,
                    port=port,
                    user=user,
                    password=password,
                    database=database,
                    timeout=10,
                    ssl=False,
                    server_settings={**_AS_TEXT, "application_name": "jeex-carry"},
                )
            )
        except BaseException:
            self._loop.close()
            raise

    def fetch(self, query: str) -> list[Any]:
        """The rows that a query answers."""
        return list(self._wait(self._made.fetch(query)))

    def execute(self, statement: str) -> None:
        """Run a statement."""
        self._wait(self._made.execute(statement))

    def close(self) -> None:
        """Leave, without a word: the server may be gone."""
        try:
            self._made.terminate()
            self._wait(self._settle())
        finally:
            self._loop.close()

    async def _settle(self) -> None:
        """Let what Ctrl-C has broken off end, and the transport close."""
        own = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not own]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)

    def _wait(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(work)


@contextmanager
def as_superuser(host: str, port: int, user: str, password: str, database: str) -> Iterator[Connection]:
    """A connection as the superuser; the driver's errors are translated."""
    import asyncpg

    try:
        one = Connection(host, port, user, password, database)
        try:
            yield one
        finally:
            one.close()
    except asyncpg.LockNotAvailableError as error:
        raise JeexError(
            f"somebody is writing to the database {database}",
            code="DATABASE_IN_USE",
            detail=str(error),
            hint="close what works with it (jeex db shell, a script), then run the same command again",
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise JeexError(
            f"the database {database} could not be read",
            code="CARRY_FAILED",
            detail=f"{type(error).__name__}: {error}",
            hint="jeex logs postgres",
        ) from error
