"""What is due, over all tenants: the relay's view, as jeex_admin. It sees ids and times, and nothing of what a job is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg

_ONE_AT_A_TIME = 0x6A656578_6A6F6273  # of advisory locks: "jeexjobs"

# Tenant after tenant by the index, however many rows each has. Of each what was sent and is to be sent again, then what
# waits, up to what it may still have with workers; first everybody's first, then everybody's second.
_CHOOSE = """
WITH RECURSIVE tenants AS (
  (SELECT tenant_id FROM job_due ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT tenant_id FROM job_due WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1)
    FROM tenants t WHERE t.tenant_id IS NOT NULL
), chosen AS (
  SELECT t.tenant_id, d.job_id, d.place
    FROM tenants t
   CROSS JOIN LATERAL (
     SELECT count(*) AS number FROM job_due WHERE tenant_id = t.tenant_id AND stage <> 'waiting') AS busy
   CROSS JOIN LATERAL (
     SELECT job_id, row_number() OVER (ORDER BY run_at, job_id) AS place FROM (
       (SELECT job_id, run_at FROM job_due
         WHERE tenant_id = t.tenant_id AND stage <> 'waiting' AND run_at <= now() ORDER BY run_at, job_id LIMIT $1)
       UNION ALL
       (SELECT job_id, run_at FROM job_due
         WHERE tenant_id = t.tenant_id AND stage = 'waiting' AND run_at <= now()
         ORDER BY run_at, job_id LIMIT greatest(0, $1 - busy.number))) AS these) AS d
   WHERE t.tenant_id IS NOT NULL
   ORDER BY d.place, d.job_id
   LIMIT greatest(0, $3 - (SELECT count(*) FROM job_due WHERE stage = 'sent' AND run_at > now()))
), sent AS (
  UPDATE job_due d SET stage = 'sent', run_at = now() + make_interval(secs => $2)
    FROM chosen c WHERE d.tenant_id = c.tenant_id AND d.job_id = c.job_id
  RETURNING d.tenant_id, d.job_id, d.attempts, c.place
)
SELECT tenant_id, job_id, attempts FROM sent ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A job to be carried to a worker, and how many attempts it has had."""

    tenant_id: uuid.UUID
    job_id: uuid.UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs wait, and how many are with workers; `oldest` is how many seconds the first one has been due."""

    waiting: int
    running: int
    oldest: float


async def choose(driver: asyncpg.Connection, *, per_tenant: int, again: float, limit: int) -> list[Due]:
    """What is to be sent now, a tenant's `per_tenant` at most with what is out already. Sent again in `again` seconds.

    `limit` is how many may be on their way at once: who comes next is decided as late as possible.
    One relay at a time, or two would each give a tenant as much.
    """
    await driver.execute("SELECT pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)
    return [Due(*row) for row in await driver.fetch(_CHOOSE, per_tenant, again, limit)]


async def send_again(driver: asyncpg.Connection) -> int:
    """Whatever was sent and has not been taken yet is due now; how many. For when what was sent may have been lost."""
    done = await driver.execute("UPDATE job_due SET run_at = now() WHERE stage = 'sent' AND run_at > now()")
    return int(done.rpartition(" ")[2])


async def next_in(driver: asyncpg.Connection) -> float | None:
    """Seconds until something is due that is not now; None where nothing waits."""
    found: float | None = await driver.fetchval(
        "SELECT extract(epoch FROM min(run_at) - now())::float8 FROM job_due WHERE run_at > now()"
    )
    return found


async def depth(driver: asyncpg.Connection) -> Depth:
    """How long the queue is."""
    found = await driver.fetchrow(
        "SELECT count(*) FILTER (WHERE stage <> 'running'), count(*) FILTER (WHERE stage = 'running'), "
        "coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE stage = 'waiting' AND run_at <= now())), 0)::float8 "
        "FROM job_due"
    )
    return Depth(*found)
