"""Looks at what keeps tenants apart in the running PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeex_cli.checks.postgres_isolation import Isolation, Policy, Role
from jeex_cli.ops.doctor.looks.postgres import as_superuser
from jeex_cli.session import Session

if TYPE_CHECKING:
    import asyncpg

_PATIENCE = 300  # milliseconds for a table's lock
_ROLES = """
SELECT DISTINCT rolname, rolsuper, rolbypassrls FROM pg_roles AS role
 WHERE rolname LIKE 'jeex\\_%' OR EXISTS (
   SELECT FROM pg_auth_members AS member JOIN pg_roles AS parent ON parent.oid = member.roleid
    WHERE member.member = role.oid AND parent.rolname IN ('jeex_app', 'jeex_admin') AND role.rolname <> 'postgres')
"""
_UNPROTECTED = """
SELECT class.oid::regclass::text FROM pg_class AS class JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
 WHERE class.relkind IN ('r', 'p') AND attribute.attname = 'tenant_id' AND NOT attribute.attisdropped
   AND class.relnamespace = 'public'::regnamespace AND NOT (class.relrowsecurity AND class.relforcerowsecurity)
 ORDER BY 1
"""
# With row security off nobody's policy matters; a table that has none shows no row.
_POLICIES = """
SELECT class.oid::regclass::text, coalesce(polname, ''), coalesce(pg_get_expr(polqual, polrelid),
       CASE polcmd WHEN 'a' THEN pg_get_expr(polwithcheck, polrelid) ELSE '' END, '')
  FROM pg_class AS class JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
  LEFT JOIN pg_policy ON polrelid = class.oid AND polpermissive
 WHERE class.relkind IN ('r', 'p') AND attribute.attname = 'tenant_id' AND NOT attribute.attisdropped
   AND class.relnamespace = 'public'::regnamespace
 ORDER BY 1, 2
"""


def look(session: Session) -> Isolation:
    """The facts of checks/postgres_isolation.py."""

    async def ask(connection: asyncpg.Connection[Any]) -> Isolation:
        return Isolation(
            tuple(Role(*row) for row in await connection.fetch(_ROLES)),
            tuple(row[0] for row in await connection.fetch(_UNPROTECTED)),
            await policies(connection),
        )

    async def policies(connection: asyncpg.Connection[Any]) -> tuple[Policy, ...] | None:
        import asyncpg

        # To print a policy PostgreSQL takes the table's lock, which somebody may hold for long.
        await connection.execute(f"SET lock_timeout = {_PATIENCE}")
        try:
            return tuple(Policy(*row) for row in await connection.fetch(_POLICIES))
        except asyncpg.LockNotAvailableError:
            return None

    return as_superuser(session, ask)
