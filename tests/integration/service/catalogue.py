# ruff: noqa: S608 - every text in these statements is the tests' own
"""What must hold for every table, asked of the catalogue: a table that is added later is asked too.

Each function takes a database, as what answers statements of a superuser, and raises AssertionError with what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

Ask = Callable[[str], str]

_TABLES = "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version'"
_OF_A_TENANT = (
    "(SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    f"WHERE {_TABLES} AND attname = 'tenant_id' AND attnum > 0 AND NOT attisdropped)"
)
_OURS = f"(SELECT oid FROM pg_class WHERE {_TABLES})"


def _names(columns: str, table: str) -> str:
    """The names of columns given by number, in order; an expression has none."""
    return (
        f"(ARRAY(SELECT attname::text FROM unnest({columns}) WITH ORDINALITY AS k(number, place) "
        f"LEFT JOIN pg_attribute ON attrelid = {table} AND attnum = k.number ORDER BY place))"
    )


def _none(ask: Ask, query: str) -> None:
    found = ask(query)
    assert found == "", found


def tenant_tables(ask: Ask) -> list[str]:
    """The tables whose rows belong to a tenant each."""
    return ask(f"SELECT relname FROM pg_class WHERE oid IN {_OF_A_TENANT} ORDER BY 1").split()


def every_table_is_a_tenants(ask: Ask) -> None:
    """Any but that of the tenants themselves, and tenant_id is never null."""
    _none(
        ask,
        f"SELECT relname FROM pg_class c WHERE {_TABLES} AND relname <> 'tenant' AND NOT EXISTS "
        "(SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id' AND attnotnull "
        "AND atttypid = 'uuid'::regtype)",
    )


def row_security_is_forced(ask: Ask) -> None:
    """ENABLE for everybody, FORCE for the owner too, and a policy, on every table."""
    _none(
        ask,
        f"SELECT relname FROM pg_class c WHERE {_TABLES} AND NOT (relrowsecurity AND relforcerowsecurity "
        "AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))",
    )


def policies_stay_index_conditions(ask: Ask) -> None:
    """One form alone.

    No missing_ok (an unbound query must fail), no cast of the column, no subquery, no function of ours. The exception is
    job_due: the relay, as jeex_admin, asks of all tenants at once which jobs are due. It holds ids and times, and no more.
    """
    bound = "(current_setting(''app.tenant_id''::text))::uuid"
    own = f"(tenant_id = {bound})"
    _none(
        ask,
        f"""
        WITH wanted AS (
          SELECT oid AS polrelid, 'own_tenant' AS polname, '*' AS polcmd, '{{jeex_admin,jeex_app}}' AS roles,
                 '{own}' AS rows, '{own}' AS written FROM pg_class WHERE oid IN {_OF_A_TENANT} AND relname <> 'job_due'
          UNION ALL VALUES
            ('job_due'::regclass, 'own_tenant', '*', '{{jeex_app}}', '{own}', '{own}'),
            ('job_due'::regclass, 'relay', '*', '{{jeex_admin}}', 'true', 'true'),
            ('tenant'::regclass, 'own_tenant', 'r', '{{jeex_app}}', '(id = {bound})', NULL),
            ('tenant'::regclass, 'administration', '*', '{{jeex_admin}}', 'true', 'true')
        ), found AS (
          SELECT polrelid, polname::text, polcmd::text,
                 ARRAY(SELECT pg_get_userbyid(role) FROM unnest(polroles) AS role ORDER BY 1)::text AS roles,
                 pg_get_expr(polqual, polrelid) AS rows, pg_get_expr(polwithcheck, polrelid) AS written
            FROM pg_policy WHERE polpermissive
          UNION ALL SELECT polrelid, polname, 'restrictive', '', NULL, NULL FROM pg_policy WHERE NOT polpermissive
        )
        (TABLE wanted EXCEPT TABLE found) UNION ALL (TABLE found EXCEPT TABLE wanted)
        """,
    )


def keys_and_indexes_lead_with_the_tenant(ask: Ask) -> None:
    """Constraint checks see every row: a key without the tenant would tell of rows of others.

    And every query has the tenant's condition, so an index that begins with something else is the longer way.
    """
    _none(
        ask,
        "SELECT indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = indexrelid "
        f"WHERE indrelid IN {_OF_A_TENANT} AND {_names('indkey::int2[]', 'indrelid')}[1] IS DISTINCT FROM 'tenant_id'",
    )


def exclusions_name_the_tenant(ask: Ask) -> None:
    """Unique and exclusion constraints; also those whose index is of another kind than a tree."""
    _none(
        ask,
        f"SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u', 'x') AND conrelid IN {_OF_A_TENANT} "
        f"AND NOT 'tenant_id' = ANY ({_names('conkey', 'conrelid')})",
    )


def foreign_keys_stay_within_the_tenant(ask: Ask) -> None:
    """To the tenant itself, or from tenant_id and more to tenant_id and more. A row that goes nulls no tenant."""
    own, theirs = _names("conkey", "conrelid"), _names("confkey", "confrelid")
    nulled = _names("confdelsetcols", "conrelid")
    _none(
        ask,
        f"""
        SELECT conname FROM pg_constraint
         WHERE contype = 'f' AND (conrelid IN {_OURS} OR confrelid IN {_OURS})
           AND (NOT CASE confrelid WHEN 'tenant'::regclass THEN {own} = '{{tenant_id}}' AND {theirs} = '{{id}}'
                    ELSE {own}[1] = 'tenant_id' AND {theirs}[1] = 'tenant_id' END
                OR confupdtype IN ('n', 'd')
                OR confdeltype IN ('n', 'd') AND (confdelsetcols IS NULL OR 'tenant_id' = ANY ({nulled})))
        """,
    )


def grants_are_no_more_than_rows(ask: Ask) -> None:
    """To the two roles alone, and never TRUNCATE, REFERENCES or TRIGGER, which row security does not bind."""
    _none(
        ask,
        "SELECT c.oid::regclass, grantee::regrole, privilege_type FROM pg_class c, "
        f"aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE {_TABLES} AND grantee <> relowner AND NOT "
        "(grantee IN ('jeex_app'::regrole, 'jeex_admin'::regrole) AND NOT is_grantable "
        "AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))",
    )


def the_roles_of_the_service_can_bypass_nothing(ask: Ask) -> None:
    """Neither owner of anything, nor superuser, nor BYPASSRLS, nor member of a role that is."""
    _none(
        ask,
        """
        WITH ours AS (SELECT * FROM pg_roles WHERE rolname IN ('jeex_app', 'jeex_admin'))
        SELECT rolname, 'privileged' FROM ours
         WHERE rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
        UNION ALL SELECT rolname, 'member of ' || roleid::regrole FROM ours JOIN pg_auth_members ON member = ours.oid
        UNION ALL SELECT rolname, 'owner of ' || pg_describe_object(classid, objid, 0)
          FROM ours JOIN pg_shdepend ON refclassid = 'pg_authid'::regclass AND refobjid = ours.oid AND deptype = 'o'
         WHERE dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        UNION ALL SELECT rolname, 'may create in ' || nspname FROM ours, pg_namespace
         WHERE nspname = 'public' AND has_schema_privilege(ours.oid, pg_namespace.oid, 'CREATE')
        """,
    )


def the_owner_sees_no_row(ask: Ask) -> None:
    """Of tables that have some: FORCE, and no policy for the owner."""
    for table in ("tenant", *tenant_tables(ask)):
        count = f"SELECT count(*) FROM {table}"
        assert ask(count) != "0", f"{table} is empty"
        assert ask(f"SET ROLE jeex_owner; {count}") == "0", table


def what_the_relay_sees_is_ids_and_times(ask: Ask) -> None:
    """job_due has no policy that hides other tenants from jeex_admin: nothing may stand there that is theirs."""
    found = ask(
        "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute "
        "WHERE attrelid = 'job_due'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    assert found == "attempts job_id run_at stage tenant_id", found


CHECKS = (
    every_table_is_a_tenants,
    row_security_is_forced,
    policies_stay_index_conditions,
    keys_and_indexes_lead_with_the_tenant,
    exclusions_name_the_tenant,
    foreign_keys_stay_within_the_tenant,
    grants_are_no_more_than_rows,
    the_roles_of_the_service_can_bypass_nothing,
    the_owner_sees_no_row,
    what_the_relay_sees_is_ids_and_times,
)
