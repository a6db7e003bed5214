"""Writing demo data as the service would: as roles that row security binds, each tenant in its own transactions.

PostgreSQL refuses COPY into a table under row security, and passing that by is not for us: rows go in as arrays, a
statement for a thousand of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import migrating
from jeex_cli.ops.connection import ask
from jeex_cli.ops.demo_rows import Size, Tenant
from jeex_cli.session import Session

_BATCH = 1000  # rows a statement
_ANOTHER = "SELECT id FROM tenant WHERE slug = $1 AND deleted_at IS NULL AND id <> $2"
_GONE = "SELECT 1 FROM tenant WHERE id = $1 AND deleted_at IS NOT NULL"
_TENANT = "INSERT INTO tenant (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING"
# What is there already has its key: it stays as it is, whatever people have made of it.
_INSERT = {
    "users": """
        INSERT INTO app_user (tenant_id, id, email, username, display_name, role, created_at, updated_at)
        SELECT $1, a, b, c, d, e, f, f
          FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]) AS r(a, b, c, d, e, f)
        ON CONFLICT (tenant_id, id) DO NOTHING
    """,
    "projects": """
        INSERT INTO project (tenant_id, id, slug, name, description, status, created_by, created_at, updated_at)
        SELECT $1, a, b, c, d, e, f, g, g
          FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::timestamptz[])
            AS r(a, b, c, d, e, f, g)
        ON CONFLICT (tenant_id, id) DO NOTHING
    """,
    "documents": """
        INSERT INTO document
          (tenant_id, id, project_id, path, title, type, status, content, created_by, created_at, updated_at)
        SELECT $1, a, b, c, d, e, f, g, h, i, i
          FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[],
                 $10::timestamptz[]) AS r(a, b, c, d, e, f, g, h, i)
        ON CONFLICT (tenant_id, id) DO NOTHING
    """,
}


@dataclass(frozen=True, slots=True)
class Seeded:
    """The tenants of a seed, and how many rows of each kind were made; the others were there already."""

    seed: int
    tenants: list[str]
    made: Mapping[str, int]
    kept: Mapping[str, int]


def seed(session: Session, number: int, size: Size) -> Seeded:
    """Make what is missing of a seed's demo data. Safe to run again, and to end at any time.

    Raises UsageError for a size that cannot be, JeexError where revisions are pending or a tenant of that name is not ours.
    """
    _refuse(number, size)
    if migrating.plan(session).revisions:
        raise JeexError("the schema is not at its newest revision", code="REVISIONS_PENDING", hint="jeex db migrate")
    tenants = [Tenant(number, one, size) for one in range(1, size.tenants + 1)]
    made = dict.fromkeys(("tenants", *_INSERT), 0)
    asked = {"tenants": size.tenants} | {kind: getattr(size, kind) * size.tenants for kind in _INSERT}
    if not size.projects:
        asked["documents"] = 0
    total, done = sum(asked.values()), 0

    async def administer(connection: Any) -> None:
        async with connection.transaction():
            for one in tenants:
                await _refuse_tenant(connection, one)
                made["tenants"] += _count(await connection.execute(_TENANT, one.id, one.slug, one.name))

    async def fill(connection: Any) -> None:
        nonlocal done
        done += size.tenants
        for one in tenants:
            for kind, statement in _INSERT.items():
                for batch in _batches(getattr(one, kind)()):
                    async with connection.transaction():
                        await connection.execute(f"SET LOCAL app.tenant_id = '{one.id}'")
                        made[kind] += _count(await connection.execute(statement, one.id, *zip(*batch, strict=True)))
                    done += len(batch)
                    session.output.progress(f"{one.slug} {kind}", done, total)

    ask(session, "admin", administer)
    try:
        ask(session, "app", fill)
    finally:
        session.output.progress("", 0, 0)
    kept = {kind: asked[kind] - made[kind] for kind in asked}
    return Seeded(number, [one.slug for one in tenants], made, kept)


def _refuse(number: int, size: Size) -> None:
    if number < 0 or number > 10**9:
        raise UsageError("--seed is a number from 0 to 1000000000", code="SIZE_INVALID")
    for name, largest in (("tenants", 10_000), ("users", 10**6), ("projects", 10**5), ("documents", 10**8)):
        if not 0 <= getattr(size, name) <= largest or (name == "tenants" and not size.tenants):
            raise UsageError(f"--{name} is a number from {1 if name == 'tenants' else 0} to {largest}", code="SIZE_INVALID")
    if not 1 <= size.content <= 500_000:
        raise UsageError("--content is a number of bytes from 1 to 500000", code="SIZE_INVALID")


async def _refuse_tenant(connection: Any, one: Tenant) -> None:
    if await connection.fetchval(_ANOTHER, one.slug, one.id):
        raise JeexError(
            f"there is a tenant {one.slug} that is not of this seed; nothing was written",
            code="TENANT_EXISTS",
            hint="use another seed: jeex db seed --seed N",
        )
    if await connection.fetchval(_GONE, one.id):
        raise JeexError(
            f"the tenant {one.slug} was deleted; nothing was written", code="TENANT_DELETED", hint="use another --seed"
        )


def _batches(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    left = iter(rows)
    while batch := list(itertools.islice(left, _BATCH)):
        yield batch


def _count(status: str) -> int:
    """Rows that a statement wrote, from what PostgreSQL says: `INSERT 0 5`."""
    return int(status.rsplit(" ", 1)[1])
