"""POSTs that carry an Idempotency-Key, and what was answered: in the transaction of the work, both or neither."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg

LIFETIME_HOURS = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that can be given again."""

    status: int
    body: bytes
    location: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """A request of the same key. Its answer is whole: it was written with the work."""

    fingerprint: bytes
    answer: Answer


async def claim(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID, key: str, fingerprint: bytes
) -> Earlier | None:
    """None when this request is the first of its key; the earlier one otherwise.

    One that is under way is waited for: either it ends well and is found, or it fails and this one is the first.
    """
    await driver.execute(
        "DELETE FROM idempotent_request WHERE tenant_id = $1 AND created_at < now() - make_interval(hours => $2)",
        tenant_id,
        LIFETIME_HOURS,
    )
    made = await driver.execute(
        "INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        *(tenant_id, user_id, key, fingerprint),
    )
    if made == "INSERT 0 1":
        return None
    found = await driver.fetchrow(
        "SELECT fingerprint, status, response, location, etag FROM idempotent_request "
        "WHERE tenant_id = $1 AND user_id = $2 AND key = $3",
        *(tenant_id, user_id, key),
    )
    if found is None:  # it grew too old in this very moment
        return None
    return Earlier(found["fingerprint"], Answer(found["status"], found["response"], found["location"], found["etag"]))


async def remember(driver: asyncpg.Connection, tenant_id: uuid.UUID, user_id: uuid.UUID, key: str, answer: Answer) -> None:
    """Keep what was answered to the request that claimed `key`."""
    await driver.execute(
        "UPDATE idempotent_request SET status = $4, response = $5, location = $6, etag = $7 "
        "WHERE tenant_id = $1 AND user_id = $2 AND key = $3",
        *(tenant_id, user_id, key, answer.status, answer.body, answer.location, answer.etag),
    )
