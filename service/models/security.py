"""Who may see and change which rows: policies and grants, which `create_all` makes with each table.

The migrations say the same in SQL of their own; a test compares what comes of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, event

from service.models.base import Base

APP, ADMIN = "jeex_app", "jeex_admin"
_CHANGE = ("SELECT", "INSERT", "UPDATE", "DELETE")
# No missing_ok: without a bound tenant a query fails instead of finding nothing. No subquery, no cast of a column and no
# function of ours: the condition stays an index condition.
_BOUND = "current_setting('app.tenant_id')::uuid"


@dataclass(frozen=True, slots=True)
class Policy:
    """Rows that `roles` may see and, where the command is one that writes, leave behind."""

    name: str
    roles: tuple[str, ...]
    rows: str
    command: str = "ALL"

    def statement(self, table: str) -> str:
        """CREATE POLICY."""
        check = "" if self.command in ("SELECT", "DELETE") else f" WITH CHECK ({self.rows})"
        return (
            f"CREATE POLICY {self.name} ON {table} FOR {self.command} TO {', '.join(self.roles)} USING ({self.rows}){check}"
        )


@dataclass(frozen=True, slots=True)
class Access:
    """The policies of a table, and what each role may do at all. The owner has no policy, and so sees no row."""

    policies: tuple[Policy, ...]
    grants: dict[str, tuple[str, ...]]


TENANTS = Access(
    (
        Policy("own_tenant", (APP,), f"id = {_BOUND}", "SELECT"),
        Policy("administration", (ADMIN,), "true"),
    ),
    {APP: ("SELECT",), ADMIN: _CHANGE},
)
OF_A_TENANT = Access(
    (Policy("own_tenant", (APP, ADMIN), f"tenant_id = {_BOUND}"),),
    {APP: _CHANGE, ADMIN: _CHANGE},
)

# The one exception: when jobs are due is asked of all tenants at once. That table says nothing else of them.
DUE = Access(
    (Policy("own_tenant", (APP,), f"tenant_id = {_BOUND}"), Policy("relay", (ADMIN,), "true")),
    {APP: _CHANGE, ADMIN: _CHANGE},
)


def access(table: Table) -> Access:
    """What holds for a table. One that is neither a tenant's nor named here is a mistake."""
    if table.name == "job_due":
        return DUE
    if "tenant_id" in table.columns:
        return OF_A_TENANT
    return {"tenant": TENANTS}[table.name]


def statements(table: Table) -> tuple[str, ...]:
    """What makes a table that exists safe, then open to whom it serves."""
    given = access(table)
    return (
        f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table.name} FORCE ROW LEVEL SECURITY",
        *(policy.statement(table.name) for policy in given.policies),
        *(f"GRANT {', '.join(rights)} ON {table.name} TO {role}" for role, rights in given.grants.items()),
    )


@event.listens_for(Base.metadata, "after_create")
def _secure(_metadata: Any, connection: Connection, *, tables: Iterable[Table], **_: Any) -> None:
    for table in tables:
        for statement in statements(table):
            connection.exec_driver_sql(statement)
