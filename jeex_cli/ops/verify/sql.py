# ruff: noqa: S608 - names come from PostgreSQL's catalogue, quoted by it; ids are UUIDs
"""PostgreSQL, attacked as the role that serves requests, bound to one tenant: every table that has a tenant_id.

Each attack is a transaction that is rolled back, and none can touch a row that is not a canary's: whatever writes says
whose. The promise is about rows of another tenant than the bound one: whoever may write SQL may bind another.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.evidence import Evidence

if TYPE_CHECKING:
    import asyncpg

_TABLES = """
SELECT format('%I.%I', nspname, relname) AS name,
       ARRAY(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0
              AND NOT attisdropped AND attgenerated = '' ORDER BY attnum) AS columns,
       EXISTS (SELECT FROM pg_constraint AS one WHERE conrelid = class.oid AND contype = 'f' AND EXISTS (
         SELECT FROM pg_attribute AS theirs WHERE attrelid = confrelid AND attname = 'tenant_id'
            AND NOT attisdropped)
         AND NOT EXISTS (SELECT FROM pg_attribute AS own WHERE own.attrelid = conrelid AND own.attnum = ANY (conkey)
            AND NOT own.attnotnull)) AS refers
  FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND EXISTS (
   SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'tenant_id' AND attnum > 0 AND NOT attisdropped)
 ORDER BY 1
"""
_DENIED, _UNBOUND, _INVALID, _UNIQUE, _FOREIGN = "42501", "42704", "22P02", "23505", "23503"
_EXCLUDED = "23P01"
_ROLES = "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname NOT IN ('jeex_app') AND rolname !~ '^(pg_|v-)' ORDER BY 1"
_FORM = "USING (tenant_id = current_setting('app.tenant_id')::uuid)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of tenants' rows. `refers`: it always points to another table of tenants' rows."""

    name: str
    columns: tuple[str, ...]
    refers: bool

    @property
    def close(self) -> str:
        """How row security is put right."""
        return (
            f"ALTER TABLE {self.name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; its only policies are "
            f"own_tenant {_FORM} WITH CHECK of the same; jeex doctor --fix does that"
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a statement: the rows it answered, or PostgreSQL's error."""

    rows: Sequence[Any]
    state: str = ""
    message: str = ""


async def tables(witness: asyncpg.Connection[Any]) -> list[Table]:
    """Every table with a tenant_id, as the catalogue has them now."""
    return [Table(row["name"], tuple(row["columns"]), row["refers"]) for row in await witness.fetch(_TABLES)]


class Sql:
    """`app` is a connection as jeex_app, `witness` one that sees every row and changes none."""

    def __init__(self, app: asyncpg.Connection[Any], witness: asyncpg.Connection[Any], evidence: Evidence) -> None:
        self._app = app
        self._witness = witness
        self._evidence = evidence

    async def attack(self, attacker: Canary, victim: Canary) -> None:
        """Every table, then every role."""
        found = await tables(self._witness)
        if not found:
            self._evidence.untried("sql", "tables of tenants", "there is no table with a tenant_id")
        for table in found:  # first of all: a session that was bound once is bound to '' afterwards, and to nothing before
            await self._unbound(table, victim.tenant_id)
        for table in found:
            row = await self._witness.fetchval(
                f"SELECT to_jsonb(t)::text FROM {table.name} AS t WHERE tenant_id = $1 LIMIT 1", victim.tenant_id
            )
            if row is None:
                self._evidence.untried("sql", f"{table.name}", "the other tenant has no row there that could be reached")
                continue
            await self._rows(table, attacker.tenant_id, victim.tenant_id, row)
        await self._tenants(attacker.tenant_id, victim.tenant_id)
        await self._become(attacker.tenant_id)

    async def _rows(self, table: Table, own: uuid.UUID, other: uuid.UUID, row: str) -> None:
        theirs, columns = f"tenant_id = '{other}'", ", ".join(table.columns)
        record = f"jsonb_populate_record(NULL::{table.name}, $1::jsonb)"
        copied = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {record}"
        for what, statement in (
            ("read", f"SELECT 1 FROM {table.name} WHERE {theirs}"),
            ("read those of any other tenant", f"SELECT 1 FROM {table.name} WHERE tenant_id <> '{own}' LIMIT 1"),
            ("read for update", f"SELECT 1 FROM {table.name} WHERE {theirs} FOR UPDATE"),
            ("change", f"UPDATE {table.name} SET tenant_id = tenant_id WHERE {theirs} RETURNING 1"),
            ("take over", f"UPDATE {table.name} SET tenant_id = '{own}' WHERE {theirs} RETURNING 1"),
            ("delete", f"DELETE FROM {table.name} WHERE {theirs} RETURNING 1"),
        ):
            self._nothing(table, what, await self._bound(own, statement))
        oracle = f"SELECT 1 / (CASE WHEN {theirs} THEN 0 ELSE 1 END) FROM {table.name} WHERE {theirs}"
        self._nothing(table, "feel by a division by zero", await self._bound(own, oracle))
        off = await self._bound(own, f"SELECT 1 FROM {table.name} WHERE {theirs}", before="SET LOCAL row_security = off")
        self._denied(table, "read with row_security = off", off)
        statistics = await self._bound(
            own, f"SELECT 1 FROM pg_stats WHERE format('%I.%I', schemaname, tablename) = '{table.name}'"
        )
        self._nothing(table, "read the planner's statistics", statistics)
        self._denied(table, "insert for the other", await self._bound(own, copied, row))
        give = await self._bound(own, f"UPDATE {table.name} SET tenant_id = '{other}' WHERE tenant_id = '{own}' RETURNING 1")
        if give.rows or give.state:
            self._denied(table, "give one's own row to the other", give)
        else:
            self._evidence.untried("sql", f"{table.name}: give one's own row to the other", "the attacker has no row there")
        # Without rows of one's own, which may well be in the way of themselves.
        mine = f"DELETE FROM {table.name} WHERE tenant_id = '{own}'"
        again = copied.replace("$1::jsonb", "$1::jsonb || $2::jsonb")
        twin = await self._bound(own, again, row, f'{{"tenant_id": "{own}"}}', before=mine)
        self._twin(table, twin)

    def _twin(self, table: Table, told: Told) -> None:
        """A row of the other's once more, as one's own: no key may know that there is one already."""
        what = f"{table.name}: feel by keys, with the other's row made one's own"
        if told.state in (_UNIQUE, _EXCLUDED):
            self._evidence.hole(
                "sql",
                what,
                f"a key of {table.name} goes over all tenants, and so tells of others' rows: {told.message}",
                "begin every primary key, unique constraint and exclusion with tenant_id",
            )
        elif not told.state and table.refers:
            self._evidence.hole(
                "sql",
                what,
                f"a row of {table.name} may point to a row of another tenant",
                "have every foreign key include tenant_id on both sides",
            )
        elif not told.state or told.state == _FOREIGN:
            self._evidence.refused("sql", what, told.message or "it was made, as if there were no other")
        else:
            self._evidence.untried("sql", what, told.message)

    async def _unbound(self, table: Table, other: uuid.UUID) -> None:
        theirs = f"WHERE tenant_id = '{other}'"
        for whom, before in (
            ("no tenant", ""),
            ("an empty tenant", "SET LOCAL app.tenant_id = ''"),
            ("something that is no tenant", "SET LOCAL app.tenant_id = 'everybody'"),
        ):
            for what, statement in (
                ("read", f"SELECT 1 FROM {table.name} {theirs}"),
                ("change", f"UPDATE {table.name} SET tenant_id = tenant_id {theirs} RETURNING 1"),
                ("delete", f"DELETE FROM {table.name} {theirs} RETURNING 1"),
            ):
                told = await self._told(before, statement)
                said = f"{table.name}: {what} while bound to {whom}"
                if told.rows:
                    hole = f"{table.name} can be asked without a tenant: {len(told.rows)} rows of others were reached"
                else:
                    hole = f"{table.name} answers a query of no tenant, which must fail: no policy bound to one holds it"
                if told.state and told.state not in (_UNBOUND, _INVALID):
                    self._evidence.untried("sql", said, told.message)
                else:
                    self._evidence.judged(
                        "sql", said, holds=bool(told.state), refusal=told.message, hole=hole, close=table.close
                    )

    async def _tenants(self, own: uuid.UUID, other: uuid.UUID) -> None:
        table = Table("public.tenant", (), refers=False)
        close = "give jeex_app SELECT alone, with the policy own_tenant USING (id = current_setting('app.tenant_id')::uuid)"
        seen = await self._bound(own, f"SELECT 1 FROM tenant WHERE id <> '{own}' LIMIT 1")
        self._nothing(table, "read those of any other tenant", seen, close)
        for what, statement in (
            ("change", f"UPDATE tenant SET name = name WHERE id = '{other}' RETURNING 1"),
            ("delete", f"DELETE FROM tenant WHERE id = '{other}' RETURNING 1"),
            ("make", f"INSERT INTO tenant (slug, name) VALUES ('jeex-canary-{uuid.uuid4().hex[:12]}', 'x')"),
        ):
            self._denied(table, what, await self._bound(own, statement), close)
        unbound = await self._told("", "SELECT 1 FROM tenant LIMIT 1")
        self._evidence.judged(
            "sql",
            "public.tenant: read while bound to no tenant",
            holds=unbound.state in (_UNBOUND, _INVALID),
            refusal=unbound.message,
            hole="tenants can be listed by whoever is bound to none",
            close=close,
        )

    async def _become(self, own: uuid.UUID) -> None:
        """Another role, an object to run as somebody, a table of one's own."""
        for (role,) in await self._witness.fetch(_ROLES):
            for how in ("SET LOCAL ROLE", "SET LOCAL SESSION AUTHORIZATION"):
                told = await self._bound(own, f"{how} {role}")
                self._evidence.judged(
                    "sql",
                    f"{how.replace('LOCAL ', '')} {role}",
                    holds=told.state == _DENIED,
                    refusal=told.message,
                    hole=f"jeex_app may become {role}",
                    close=f"REVOKE {role} FROM jeex_app; ALTER ROLE jeex_app NOSUPERUSER",
                )
        for what, statement in (
            ("make a table", "CREATE TABLE public.jeex_canary (id int)"),
            ("make a temporary table", "CREATE TEMPORARY TABLE jeex_canary (id int)"),
            ("make a function", "CREATE FUNCTION public.jeex_canary() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
            ("read a file of the server", "SELECT pg_read_file('PG_VERSION')"),
            ("read the passwords of roles", "SELECT 1 FROM pg_authid LIMIT 1"),
        ):
            told = await self._bound(own, statement)
            self._evidence.judged(
                "sql",
                what,
                holds=told.state == _DENIED,
                refusal=told.message,
                hole=f"jeex_app may {what}",
                close="run bootstrap.sql again (jeex restart postgres), and REVOKE what was given to jeex_app or PUBLIC",
            )

    def _nothing(self, table: Table, what: str, told: Told, close: str = "") -> None:
        """It must find no row. An error is no answer, but that of a privilege that is not there."""
        said = f"{table.name}: {what}"
        if told.state == "22012":
            hole = f"an error tells whether {table.name} has rows of another tenant"
            self._evidence.hole("sql", said, hole, close or table.close)
        elif told.state not in ("", _DENIED):
            self._evidence.untried("sql", said, told.message)
        else:
            hole = f"jeex_app, bound to one tenant, can {what} rows of another in {table.name}"
            self._evidence.judged(
                "sql",
                said,
                holds=not told.rows,
                refusal=told.message or "no row",
                hole=hole if " " not in what else f"in {table.name}, jeex_app bound to one tenant can {what}",
                close=close or table.close,
            )

    def _denied(self, table: Table, what: str, told: Told, close: str = "") -> None:
        """It must be refused as a violation of row security, or of privileges, and as nothing else."""
        self._evidence.judged(
            "sql",
            f"{table.name}: {what}",
            holds=told.state == _DENIED,
            refusal=told.message,
            hole=f"{table.name}: to {what} is not refused by row security ({told.message or 'it was done'})",
            close=close or table.close,
        )

    async def _bound(self, tenant: uuid.UUID, statement: str, *values: Any, before: str = "") -> Told:
        return await self._told(f"SET LOCAL app.tenant_id = '{tenant}'; {before}", statement, *values)

    async def _told(self, before: str, statement: str, *values: Any) -> Told:
        """What PostgreSQL makes of it, in a transaction that is rolled back. Raises what is wrong with the connection."""
        import asyncpg

        transaction = self._app.transaction()
        await transaction.start()
        prepared = False
        try:
            if before:
                await self._app.execute(before)
            prepared = True
            return Told(await self._app.fetch(statement, *values))
        except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
            raise
        except asyncpg.PostgresError as error:
            return Told((), str(error.sqlstate) if prepared else "not prepared", str(error))
        finally:
            if not self._app.is_closed():
                await transaction.rollback()
