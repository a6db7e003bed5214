"""Rows of a whole tenant, out of PostgreSQL and into it, without ever holding more than a piece of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from service.adapters.freshness import CACHED, touch
from service.adapters.tenant_tables import TABLES, TenantTable
from service.core.errors import FileRefused

Sink = Callable[[bytes], None]
_WRONG = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.ProgramLimitExceededError)


async def hold_still(driver: asyncpg.Connection) -> None:
    """Whatever the transaction reads from now on is of one moment. Before anything has been read."""
    await driver.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


async def read(driver: asyncpg.Connection, table: TenantTable, tenant_id: uuid.UUID, sink: Sink) -> None:
    """Hand every row to `sink`, as lines of JSON, in pieces. COPY waits for whoever takes them."""

    async def piece(data: bytes) -> None:
        # COPY's text doubles backslashes, and escapes nothing else that JSON has in it.
        sink(data.replace(b"\\\\", b"\\"))

    whose = f"'{uuid.UUID(str(tenant_id))}'::uuid"  # COPY takes no parameters
    query = f"SELECT {table.reading} FROM {table.name} WHERE {table.owner} = {whose}"  # noqa: S608
    await driver.copy_from_query(query, output=piece)


async def write(
    driver: asyncpg.Connection,
    table: TenantTable,
    tenant_id: uuid.UUID,
    columns: tuple[str, ...],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Insert rows that somebody sent. Raises FileRefused where one of them breaks a rule of the database's."""
    try:
        await driver.execute(table.inserting(columns), orjson.dumps(rows).decode(), tenant_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise FileRefused(f"a row of {table.name} refers to one that is not in the file", code="FILE_REFERENCE") from error
    except asyncpg.UniqueViolationError as error:
        raise FileRefused(
            f"two rows of {table.name} are in each other's way ({error.constraint_name})", code="FILE_DUPLICATE"
        ) from error
    except _WRONG as error:
        rule = f" ({error.constraint_name})" if error.constraint_name else ""
        raise FileRefused(f"a row of {table.name} has a value that the database refuses{rule}", code="FILE_VALUE") from error


async def settle(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
    """Jobs that were with a worker of the stack they come from wait again; copies of before count no longer."""
    await driver.execute(
        "UPDATE job SET status = 'queued', lease_token = NULL, lease_until = NULL "
        "WHERE tenant_id = $1 AND status = 'running'",
        tenant_id,
    )
    await driver.execute(
        "UPDATE job_due SET stage = 'waiting', run_at = now() WHERE tenant_id = $1 AND stage <> 'waiting'", tenant_id
    )
    outdated(tenant_id)


def outdated(tenant_id: uuid.UUID) -> None:
    """Copies of the tenant's rows count no longer once the transaction at hand is committed."""
    for table in CACHED:
        touch(tenant_id, table)


async def counts(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> dict[str, tuple[int, int]]:
    """Rows of each table and what their values take, in bytes as they are stored."""
    found = {}
    for name, table in TABLES.items():
        size = " + ".join(f"coalesce(pg_column_size({one}), 0)" for one in table.columns)
        row = await driver.fetchrow(
            f"SELECT count(*), coalesce(sum({size}), 0)::bigint FROM {name} WHERE {table.owner} = $1",  # noqa: S608
            tenant_id,
        )
        found[name] = (row[0], row[1])
    return found


_FIGURES = """
SELECT (SELECT count(*) FROM app_user WHERE tenant_id = $1 AND deleted_at IS NULL) AS users,
       (SELECT count(*) FROM api_key WHERE tenant_id = $1 AND revoked_at IS NULL) AS keys,
       (SELECT count(*) FROM project WHERE tenant_id = $1 AND deleted_at IS NULL) AS projects,
       (SELECT count(*) FROM document WHERE tenant_id = $1 AND deleted_at IS NULL) AS documents,
       (SELECT count(*) FROM job WHERE tenant_id = $1) AS jobs,
       (SELECT count(*) FROM job WHERE tenant_id = $1 AND status IN ('queued', 'running')) AS unfinished,
       greatest((SELECT max(last_used_at) FROM api_key WHERE tenant_id = $1),
                (SELECT max(updated_at) FROM app_user WHERE tenant_id = $1),
                (SELECT max(updated_at) FROM project WHERE tenant_id = $1),
                (SELECT max(updated_at) FROM document WHERE tenant_id = $1),
                (SELECT max(greatest(created_at, started_at, finished_at)) FROM job WHERE tenant_id = $1)) AS last_activity
"""


async def figures(driver: asyncpg.Connection, tenant_id: uuid.UUID) -> tuple[dict[str, int], datetime | None]:
    """How many users, keys, projects, documents and jobs there are that hold; when something was done last."""
    found = dict(await driver.fetchrow(_FIGURES, tenant_id))
    last: datetime | None = found.pop("last_activity")
    return found, last
