# ruff: noqa: S608 - every text in these statements is the tests' own
"""What the database itself keeps apart, whatever the code above it does. What its catalogue says is in test_catalogue.py."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.service.conftest import make_tenant
from tests.integration.service.servers import Postgres

TABLES = ("api_key", "app_user", "document", "idempotent_request", "project")


@pytest.mark.parametrize("role", ["app", "admin"])
@pytest.mark.parametrize("table", TABLES)
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


def fill(postgres: Postgres, database: str, tenant: object) -> None:
    """A row of the tenant's in each table, made as the service does: bound to it."""
    bound = f"SET app.tenant_id = '{tenant}'; "
    for statement in (
        "INSERT INTO project (tenant_id, slug, name, created_by) SELECT tenant_id, 'p', 'P', id FROM app_user",
        "INSERT INTO document (tenant_id, project_id, path, title, created_by) "
        "SELECT tenant_id, id, 'a/b', 'D', created_by FROM project",
        "INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint) "
        "SELECT tenant_id, id, 'k', sha256('') FROM app_user",
    ):
        postgres.sql(bound + statement, user="jeex_app", database=database)


@pytest.mark.parametrize("role", ["app", "admin"])
def test_every_table_shows_and_takes_rows_of_the_bound_tenant_only(postgres: Postgres, database: str, role: str) -> None:
    acme, other = (make_tenant(postgres.url("admin", database), slug).tenant.id for slug in ("acme", "other"))
    for tenant in (acme, other):
        fill(postgres, database, tenant)
    for table in TABLES:

        def bound(statement: str) -> subprocess.CompletedProcess[str]:
            return postgres.psql("-c", f"SET app.tenant_id = '{acme}'; {statement}", user=f"jeex_{role}", database=database)

        assert bound(f"SELECT DISTINCT tenant_id FROM {table}").stdout.strip() == str(acme)
        assert "row-level security" in bound(f"UPDATE {table} SET tenant_id = '{other}'").stderr
        assert bound(f"DELETE FROM {table} WHERE tenant_id = '{other}' RETURNING 1").stdout == ""
        assert postgres.sql(f"SELECT count(DISTINCT tenant_id) FROM {table}", database=database) == "2"


def test_a_tenant_goes_with_everything_that_is_its_own(postgres: Postgres, database: str) -> None:
    acme, other = (make_tenant(postgres.url("admin", database), slug).tenant.id for slug in ("acme", "other"))
    for tenant in (acme, other):
        fill(postgres, database, tenant)
    postgres.sql(f"DELETE FROM tenant WHERE id = '{acme}'", user="jeex_admin", database=database)
    for table in TABLES:
        assert postgres.sql(f"SELECT DISTINCT tenant_id FROM {table}", database=database) == str(other), table


def test_what_a_user_made_stays_when_the_user_goes(postgres: Postgres, database: str) -> None:
    """Without a maker, and with its tenant. Keys and answers go with the user."""
    acme = make_tenant(postgres.url("admin", database)).tenant.id
    fill(postgres, database, acme)
    postgres.sql(f"SET app.tenant_id = '{acme}'; DELETE FROM app_user", user="jeex_app", database=database)
    for table in ("project", "document"):
        assert postgres.sql(f"SELECT tenant_id, created_by FROM {table}", database=database) == f"{acme}|"
    for table in ("api_key", "idempotent_request"):
        assert postgres.sql(f"SELECT count(*) FROM {table}", database=database) == "0"


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
