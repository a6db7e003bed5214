# ruff: noqa: S608 - every text in these statements is the tests' own
"""What the database itself keeps apart, whatever the code above it does."""

from __future__ import annotations

import pytest

from tests.integration.service.conftest import make_tenant
from tests.integration.service.servers import Postgres

TENANT_TABLES = (
    "SELECT DISTINCT attrelid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "WHERE attname = 'tenant_id' AND relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
)


def test_every_tenant_table_is_under_row_security(postgres: Postgres, database: str) -> None:
    open_tables = postgres.sql(
        "SELECT string_agg(c.relname, ',') FROM pg_class c "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        f"AND (oid IN ({TENANT_TABLES}) OR relname = 'tenant') AND NOT (relrowsecurity AND relforcerowsecurity "
        "AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))",
        database=database,
    )
    assert open_tables == ""


def test_every_key_of_a_tenant_table_leads_with_the_tenant(postgres: Postgres, database: str) -> None:
    """Constraint checks see every row: a key without the tenant would tell of rows of others."""
    wrong = postgres.sql(
        "SELECT string_agg(i.indexrelid::regclass::text, ',') FROM pg_index i WHERE indrelid IN "
        f"({TENANT_TABLES}) AND 'tenant_id' <> "
        "(SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = indkey[0])",
        database=database,
    )
    assert wrong == ""
    wrong = postgres.sql(
        f"SELECT string_agg(conname, ',') FROM pg_constraint WHERE contype = 'f' AND conrelid IN ({TENANT_TABLES}) "
        "AND (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) <> 'tenant_id'",
        database=database,
    )
    assert wrong == ""


def test_policies_stay_index_conditions(postgres: Postgres, database: str) -> None:
    """No missing_ok (an unbound query must fail), no cast of the column, no subquery, no function of ours."""
    found = postgres.sql(
        "SELECT DISTINCT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname <> 'administration' ORDER BY 1",
        database=database,
    )
    assert found.splitlines() == [
        "(id = (current_setting('app.tenant_id'::text))::uuid)",
        "(tenant_id = (current_setting('app.tenant_id'::text))::uuid)",
    ]


@pytest.mark.parametrize("role", ["app", "admin"])
@pytest.mark.parametrize("table", ["app_user", "api_key"])
def test_an_unbound_query_fails(postgres: Postgres, database: str, role: str, table: str) -> None:
    make_tenant(postgres.url("admin", database))
    for binding in ("", "SET app.tenant_id = '';"):
        result = postgres.psql("-c", f"{binding} SELECT * FROM {table}", user=f"jeex_{role}", database=database)
        assert result.returncode != 0
        assert "app.tenant_id" in result.stderr or "invalid input syntax for type uuid" in result.stderr


def test_the_app_cannot_list_tenants_unbound(postgres: Postgres, database: str) -> None:
    make_tenant(postgres.url("admin", database))
    assert "app.tenant_id" in postgres.psql("-c", "SELECT * FROM tenant", user="jeex_app", database=database).stderr


def test_a_bound_session_sees_and_touches_its_own_tenant_only(postgres: Postgres, database: str) -> None:
    acme = make_tenant(postgres.url("admin", database), "acme")
    other = make_tenant(postgres.url("admin", database), "other")
    for role in ("app", "admin"):
        bound = f"SET app.tenant_id = '{acme.tenant.id}';"
        user = f"jeex_{role}"
        assert postgres.sql(f"{bound} SELECT email FROM app_user", user=user, database=database) == "alice@acme.example"
        theirs = f"tenant_id = '{other.tenant.id}'"
        assert postgres.sql(f"{bound} SELECT count(*) FROM api_key WHERE {theirs}", user=user, database=database) == "0"
        change = f"{bound} UPDATE app_user SET display_name = 'x' WHERE {theirs} RETURNING 1"
        assert postgres.sql(change, user=user, database=database) == ""
        foreign = (
            f"{bound} INSERT INTO app_user (tenant_id, email, display_name) VALUES ('{other.tenant.id}', 'm@x.example', 'm')"
        )
        assert "row-level security" in postgres.psql("-c", foreign, user=user, database=database).stderr
        moved = f"{bound} UPDATE app_user SET tenant_id = '{other.tenant.id}'"
        assert postgres.psql("-c", moved, user=user, database=database).returncode != 0


def test_the_app_cannot_change_tenants(postgres: Postgres, database: str) -> None:
    acme = make_tenant(postgres.url("admin", database))
    bound = f"SET app.tenant_id = '{acme.tenant.id}';"
    assert postgres.sql(f"{bound} SELECT slug FROM tenant", user="jeex_app", database=database) == "acme"
    for statement in (
        "UPDATE tenant SET name = 'x'",
        "DELETE FROM tenant",
        "INSERT INTO tenant (slug, name) VALUES ('evil', 'x')",
        "UPDATE alembic_version SET version_num = 'x'",
        "ALTER TABLE app_user DISABLE ROW LEVEL SECURITY",
        "SET ROLE jeex_admin",
    ):
        result = postgres.psql("-c", f"{bound} {statement}", user="jeex_app", database=database)
        assert result.returncode != 0, statement


def test_even_the_owner_sees_no_row(postgres: Postgres, database: str) -> None:
    make_tenant(postgres.url("admin", database))
    for table in ("tenant", "app_user", "api_key"):
        assert postgres.sql(f"SELECT count(*) FROM {table}", user="jeex_owner", database=database) == "0"


def test_a_tenant_goes_with_everything_that_is_its_own(postgres: Postgres, database: str) -> None:
    acme = make_tenant(postgres.url("admin", database), "acme")
    make_tenant(postgres.url("admin", database), "other")
    postgres.sql(f"DELETE FROM tenant WHERE id = '{acme.tenant.id}'", user="jeex_admin", database=database)
    counts = postgres.sql(
        "SELECT (SELECT count(*) FROM tenant), (SELECT count(*) FROM app_user), (SELECT count(*) FROM api_key)",
        database=database,
    )
    assert counts == "1|1|1"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO tenant (slug, name) VALUES ('Acme', 'x')", "ck_tenant_slug"),
        ("INSERT INTO tenant (slug, name) VALUES ('acme-', 'x')", "ck_tenant_slug"),
        ("INSERT INTO tenant (slug, name) VALUES ('acme', ' x')", "ck_tenant_name"),
        ("INSERT INTO tenant (slug, name, status) VALUES ('acme', 'x', 'gone')", "ck_tenant_status"),
    ],
)
def test_the_database_checks_for_itself(postgres: Postgres, database: str, statement: str, constraint: str) -> None:
    assert constraint in postgres.psql("-c", statement, user="jeex_admin", database=database).stderr


def test_an_address_is_taken_whatever_its_case_but_only_in_its_tenant(postgres: Postgres, database: str) -> None:
    acme = make_tenant(postgres.url("admin", database), "acme")
    other = make_tenant(postgres.url("admin", database), "other")

    def insert(tenant: object) -> str:
        return postgres.psql(
            "-c",
            f"SET app.tenant_id = '{tenant}'; INSERT INTO app_user (tenant_id, email, display_name) "
            f"VALUES ('{tenant}', 'ALICE@acme.example', 'Alice')",
            user="jeex_app",
            database=database,
        ).stderr

    assert "uq_app_user_tenant_id_email_norm" in insert(acme.tenant.id)
    assert insert(other.tenant.id) == ""
