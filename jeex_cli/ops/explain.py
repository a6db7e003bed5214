"""How PostgreSQL carries out a statement for a tenant: as the role that serves requests, and taken back afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import tenant_life
from jeex_cli.ops.connection import ask
from jeex_cli.session import Session

_ROLE = "jeex_app"
BIG = 10_000  # rows; to read a smaller table as a whole is no mistake
_POLICIES = """
SELECT tablename::text, policyname::text, cmd, qual FROM pg_policies
 WHERE schemaname = 'public' AND tablename = ANY($1) AND roles && ARRAY['jeex_app', 'public']::name[] ORDER BY 1, 2
"""
_ROWS = """
SELECT relname::text, greatest(reltuples, 0)::bigint FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1)
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that held; `how` is "index" where an index was read by its condition, else "filter"."""

    table: str
    name: str
    how: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The plan as PostgreSQL gives it (JSON), the same as lines, and what is to be said of it."""

    tenant: str
    analyzed: bool
    indexes: list[str]
    policies: list[Policy]
    warnings: list[str]
    lines: list[str]
    plan: dict[str, Any]


def explain(session: Session, statement: str, tenant: str | None, *, analyze: bool = False) -> Explained:
    """The plan of one statement, for `tenant` or the one that was chosen. With `analyze` it is carried out, and rolled back.

    Raises UsageError for what PostgreSQL cannot explain, or a query of a tenant's rows where none is named; JeexError for a
    tenant that does not exist.
    """
    tenant = tenant or session.settings.given(tenant_life.VARIABLE)
    bound = _tenant(session, tenant) if tenant else None

    async def look(connection: Any) -> Explained:
        import asyncpg

        transaction = connection.transaction()
        await transaction.start()
        try:
            if bound is not None:
                await connection.execute(f"SET LOCAL app.tenant_id = '{bound}'")
            options = "FORMAT JSON, VERBOSE FALSE" + (", ANALYZE, BUFFERS" if analyze else "")
            # One statement and no more: the extended protocol takes no second one.
            answer = await connection.fetchval(f"EXPLAIN ({options}) {statement}")
            return await _said(connection, json.loads(answer)[0], tenant or "", analyze)
        except asyncpg.UndefinedObjectError as error:
            if "app.tenant_id" not in str(error):
                raise _refused(error) from error
            raise UsageError(
                "it reads rows of a tenant, and no tenant is named",
                code="TENANT_NEEDED",
                hint="jeex db explain --tenant SLUG ..., or choose one for the commands to come: jeex tenant use SLUG",
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _refused(error) from error
        finally:
            await transaction.rollback()

    return ask(session, "app", look)


def _refused(error: Exception) -> UsageError:
    return UsageError(
        f"PostgreSQL does not explain that: {error}",
        code="STATEMENT_REFUSED",
        hint='one statement, with values in place of parameters: jeex db explain --tenant acme "SELECT ..."',
    )


def _tenant(session: Session, named: str) -> uuid.UUID:
    """A tenant's id, from that or its slug."""
    try:
        return uuid.UUID(named)
    except ValueError:
        pass

    async def look(connection: Any) -> uuid.UUID:
        found = await connection.fetchval("SELECT id FROM tenant WHERE slug = $1 AND deleted_at IS NULL", named)
        if found is None:
            raise JeexError(f"there is no tenant {named}", code="TENANT_UNKNOWN", hint="jeex tenant list")
        return uuid.UUID(str(found))

    return ask(session, "admin", look)


async def _said(connection: Any, document: dict[str, Any], tenant: str, analyze: bool) -> Explained:
    steps = list(_steps(document["Plan"], 0))
    tables = sorted({one["Relation Name"] for one, _ in steps if "Relation Name" in one})
    rows = {name: int(count) for name, count in await connection.fetch(_ROWS, tables)}
    policies = [Policy(table, name, _how(table, steps)) for table, name, _, _ in await connection.fetch(_POLICIES, tables)]
    warnings = [
        f"reads all of {one['Relation Name']} (some {rows[one['Relation Name']]:,} rows): no index serves it"
        for one, _ in steps
        if one["Node Type"] == "Seq Scan" and rows.get(one["Relation Name"], 0) >= BIG
    ]
    warnings += [
        f"{one.table}: the policy {one.name} only filters what was read, rows of every tenant"
        for one in policies
        if one.how == "filter" and rows.get(one.table, 0) >= BIG
    ]
    indexes = list(dict.fromkeys(one["Index Name"] for one, _ in steps if "Index Name" in one))
    lines = [line for one, depth in steps for line in _lines(one, depth)]
    if "Execution Time" in document:
        lines.append(f"planning {document['Planning Time']:.2f} ms, execution {document['Execution Time']:.2f} ms")
    return Explained(tenant, analyze, indexes, policies, list(dict.fromkeys(warnings)), lines, document)


def _steps(plan: dict[str, Any], depth: int) -> Iterator[tuple[dict[str, Any], int]]:
    yield plan, depth
    for below in plan.get("Plans", ()):
        yield from _steps(below, depth + 1)


def _how(table: str, steps: list[tuple[dict[str, Any], int]]) -> str:
    """Whether an index was asked for the tenant's rows alone."""
    for one, _ in steps:
        of_table = one.get("Relation Name") == table or str(one.get("Index Name", "")).find(f"_{table}_") > 0
        if of_table and "app.tenant_id" in one.get("Index Cond", ""):
            return "index"
    return "filter"


def _lines(one: dict[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    on = " ".join(f"{word} {one[key]}" for word, key in (("using", "Index Name"), ("on", "Relation Name")) if key in one)
    actual = f", in fact {one['Actual Rows']:g} in {one['Actual Total Time']:.2f} ms" if "Actual Rows" in one else ""
    kind = one["Node Type"] if one["Node Type"] != "ModifyTable" else one["Operation"]
    yield f"{indent}{kind} {on}".rstrip() + f"  (cost {one['Total Cost']:.1f}, rows {one['Plan Rows']}{actual})"
    for key in ("Index Cond", "Recheck Cond", "Filter", "Sort Key", "Hash Cond", "Join Filter"):
        if key in one and key != "Recheck Cond":
            said = ", ".join(one[key]) if isinstance(one[key], list) else one[key]
            yield f"{indent}    {key}: {said}"
