"""What keeps tenants apart in PostgreSQL: row security that holds every role, on every table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, unknown
from jeex_cli.checks.repairs import RunSql

_GROUP = "postgres"
# What a policy of a tenant's table says, without what PostgreSQL adds when it prints it.
_BOUND = "tenant_id=current_setting'app.tenant_id'::uuid"
# The relay of the queue sees when jobs of every tenant are due, and nothing else: that table has no more.
_OF_EVERY_TENANT = ("job_due", "relay")
_POLICY = "(tenant_id = current_setting('app.tenant_id')::uuid)"


@dataclass(frozen=True, slots=True)
class Role:
    """What a role of ours may do beyond what bootstrap.sql gives."""

    name: str
    superuser: bool
    bypasses: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of a table with a tenant_id: what it says of rows. `name` is "" where the table has none at all."""

    table: str
    name: str
    rows: str

    @property
    def binds(self) -> bool:
        """Whether it lets nobody see but the rows of the tenant at hand."""
        return (self.table, self.name) == _OF_EVERY_TENANT or re.sub(r"[()\s]|::text", "", self.rows) == _BOUND


@dataclass(frozen=True, slots=True)
class Isolation:
    """`roles` are those of the stack and their members; `unprotected` tables with a tenant_id of which row security does not
    hold for everybody; `policies` those of all such tables, None while somebody else has one of them locked."""

    roles: tuple[Role, ...]
    unprotected: tuple[str, ...]
    policies: tuple[Policy, ...] | None


def postgres_roles(facts: Isolation) -> Verdict:
    wide = [one for one in facts.roles if one.superuser or one.bypasses]
    if not wide:
        return ok("no role can pass row security by")
    rights = {one.name: "SUPERUSER" if one.superuser else "BYPASSRLS" for one in wide}
    name, right = next(iter(rights.items()))
    return fail(
        f"{name} is {right}: row security does not hold it, so tenants are not kept apart",
        [f"{one}: {what}" for one, what in rights.items()],
        fix="; ".join(f"ALTER ROLE {one} NOSUPERUSER NOBYPASSRLS" for one in rights),
        repair=RunSql(tuple(f'ALTER ROLE "{one}" NOSUPERUSER NOBYPASSRLS' for one in rights)),
    )


def postgres_row_security(facts: Isolation) -> Verdict:
    policies = facts.policies or ()
    wide = [one for one in policies if one.name and not one.binds]
    without = [one.table for one in policies if not one.name]
    statements = (
        *(f"ALTER TABLE {one} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY" for one in facts.unprotected),
        *(f'DROP POLICY "{one.name}" ON {one.table}' for one in wide if one.name != "own_tenant"),
        *(f"ALTER POLICY own_tenant ON {one.table} USING {_POLICY}" for one in wide if one.name == "own_tenant"),
        *(
            f"CREATE POLICY own_tenant ON {one} TO jeex_app, jeex_admin USING {_POLICY} WITH CHECK {_POLICY}"
            for one in without
        ),
    )
    if not statements and facts.policies is None:
        return unknown("somebody has a table locked", fix="jeex doctor --only postgres-locks tells who")
    if not statements:
        return ok("row security is forced on every table with a tenant")
    if facts.unprotected:
        said = f"row security is not forced on {', '.join(facts.unprotected)}: tenants are not kept apart there"
    elif wide:
        said = f"the policy {wide[0].name} of {wide[0].table} is not bound to a tenant: tenants are not kept apart there"
    else:
        said = f"{without[0]} has no policy: nobody sees a row of it"
    return fail(
        said,
        [f"{one.table}: {one.name} USING {one.rows}" for one in wide],
        fix="; ".join(statements),
        repair=RunSql(statements),
    )


CHECKS = (
    Check(
        "postgres-roles",
        _GROUP,
        "row security holds every role of the stack",
        "Tenants are kept apart by PostgreSQL itself. A role with SUPERUSER or BYPASSRLS sees every tenant's rows.",
        Isolation,
        postgres_roles,
    ),
    Check(
        "postgres-row-security",
        _GROUP,
        "row security is forced on every tenant's table",
        "Each table with a tenant_id has row security, forced so that its owner is held, too, and policies that are "
        "bound to a tenant. PostgreSQL shows a row that any policy lets through: one more policy can open a table.",
        Isolation,
        postgres_row_security,
    ),
)
