# ruff: noqa: S608 - names come from PostgreSQL's catalogue, quoted by it
"""The victim's rows, before and after: what was refused must not have happened all the same."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from jeex_cli.ops.verify.evidence import Evidence
from jeex_cli.ops.verify.sql import tables

if TYPE_CHECKING:
    import asyncpg

Rows = dict[str, dict[str, str]]  # by table, then by primary key: a digest
# Not anybody's change: when a key was used last, and what the platform itself does for each tenant once a day.
_BY_ITSELF = "(SELECT id FROM job WHERE tenant_id = $1 AND kind NOT LIKE 'project.%')"
_NOT = {
    "public.job": f"AND id NOT IN {_BY_ITSELF}",
    "public.job_due": f"AND job_id NOT IN {_BY_ITSELF}",
    "public.job_result": f"AND job_id NOT IN {_BY_ITSELF}",
}
_KEY = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_index
  JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = $1::text::regclass AND indisprimary
"""


async def of(witness: asyncpg.Connection[Any], tenant_id: uuid.UUID) -> Rows:
    """Every row of that tenant's."""
    found: Rows = {}
    for table in await tables(witness):
        key = await witness.fetchval(_KEY, table.name) or "t"
        rows = await witness.fetch(
            f"SELECT row({key})::text, md5((to_jsonb(t) - 'last_used_at')::text) FROM {table.name} AS t "
            f"WHERE tenant_id = $1 {_NOT.get(table.name, '')}",
            tenant_id,
        )
        found[table.name] = {row[0]: row[1] for row in rows}
    return found


def compare(evidence: Evidence, area: str, before: Rows, after: Rows) -> None:
    """Whether all is as it was."""
    for table, rows in before.items():
        now = after.get(table, {})
        gone, new = len(rows.keys() - now.keys()), len(now.keys() - rows.keys())
        changed = sum(1 for key in rows.keys() & now.keys() if rows[key] != now[key])
        told = ", ".join(
            f"{number} {word}" for number, word in ((gone, "gone"), (new, "new"), (changed, "changed")) if number
        )
        evidence.judged(
            area,
            f"the other's rows of {table}, after all of that",
            holds=not told,
            refusal=f"{len(rows)} rows, as they were",
            hole=f"rows of another tenant's in {table} are not as they were: {told}",
            close="the attacks that were answered with success name the way; run this again with --keep-evidence",
        )
