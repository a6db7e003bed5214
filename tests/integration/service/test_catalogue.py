"""Row security of every table, as the catalogue tells it; and that each check would notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.service import catalogue
from tests.integration.service.catalogue import Ask
from tests.integration.service.servers import Postgres

Check = Callable[[Ask], None]

ROWS = """
  INSERT INTO tenant (slug, name) VALUES ('acme', 'Acme');
  INSERT INTO app_user (tenant_id, email, display_name) SELECT id, 'a@x.example', 'A' FROM tenant;
  INSERT INTO api_key (tenant_id, user_id, name, secret_hash) SELECT tenant_id, id, 'k', sha256('k') FROM app_user;
  INSERT INTO project (tenant_id, slug, name) SELECT id, 'p', 'P' FROM tenant;
  INSERT INTO document (tenant_id, project_id, path, title) SELECT tenant_id, id, 'd', 'D' FROM project;
  INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint) SELECT tenant_id, id, 'k', sha256('k') FROM app_user;
  INSERT INTO job (tenant_id, kind) SELECT id, 'k' FROM tenant;
  INSERT INTO job_due (tenant_id, job_id) SELECT tenant_id, id FROM job;
  INSERT INTO job_result (tenant_id, job_id, part, bytes) SELECT tenant_id, id, 0, 'x' FROM job;
"""


@pytest.fixture(scope="module")
def ask(postgres: Postgres) -> Iterator[Ask]:
    """A migrated database with a row in each table."""
    name = postgres.copy("catalogue", "migrated")
    postgres.sql(ROWS, database=name)
    yield lambda query: postgres.sql(query, database=name)
    postgres.drop(name)


@pytest.mark.parametrize("check", catalogue.CHECKS, ids=lambda check: check.__name__)
def test_every_table(ask: Ask, check: Check) -> None:
    check(ask)


def test_the_tables_are_found(ask: Ask) -> None:
    """A check that looks at nothing would pass."""
    assert catalogue.tenant_tables(ask) == [
        *("api_key", "app_user", "document", "idempotent_request", "job", "job_due", "job_result", "project")
    ]


BOUND = "current_setting('app.tenant_id')::uuid"
NEW = "CREATE TABLE note (tenant_id uuid NOT NULL REFERENCES tenant ON DELETE CASCADE, id uuid, "
# What each check must notice: one of them, and what breaks it.
WRONG: tuple[tuple[Check, str], ...] = (
    (catalogue.every_table_is_a_tenants, "CREATE TABLE note (id uuid PRIMARY KEY)"),
    (catalogue.every_table_is_a_tenants, "CREATE TABLE note (tenant_id uuid, id uuid)"),
    (catalogue.every_table_is_a_tenants, "CREATE TABLE note (tenant_id text NOT NULL)"),
    (catalogue.row_security_is_forced, "ALTER TABLE document NO FORCE ROW LEVEL SECURITY"),
    (catalogue.row_security_is_forced, "ALTER TABLE idempotent_request DISABLE ROW LEVEL SECURITY"),
    (catalogue.row_security_is_forced, "DROP POLICY own_tenant ON project"),
    (catalogue.row_security_is_forced, f"{NEW} PRIMARY KEY (tenant_id, id))"),
    (catalogue.policies_stay_index_conditions, "DROP POLICY own_tenant ON project"),
    (
        catalogue.policies_stay_index_conditions,
        "ALTER POLICY own_tenant ON project USING (tenant_id::text = current_setting('app.tenant_id'))",
    ),
    (
        catalogue.policies_stay_index_conditions,
        "ALTER POLICY own_tenant ON project USING (tenant_id = current_setting('app.tenant_id', true)::uuid)",
    ),
    (
        catalogue.policies_stay_index_conditions,
        f"ALTER POLICY own_tenant ON project USING (tenant_id = (SELECT {BOUND}))",
    ),
    (catalogue.policies_stay_index_conditions, "ALTER POLICY own_tenant ON document WITH CHECK (true)"),
    (catalogue.policies_stay_index_conditions, "ALTER POLICY own_tenant ON document TO jeex_app, jeex_admin, PUBLIC"),
    (catalogue.policies_stay_index_conditions, "CREATE POLICY more ON document FOR SELECT TO jeex_app USING (true)"),
    (catalogue.policies_stay_index_conditions, "CREATE POLICY more ON document AS RESTRICTIVE TO jeex_app USING (true)"),
    (catalogue.policies_stay_index_conditions, "ALTER POLICY own_tenant ON tenant USING (true)"),
    (catalogue.policies_stay_index_conditions, "CREATE POLICY relay ON job TO jeex_admin USING (true)"),
    (catalogue.policies_stay_index_conditions, "ALTER POLICY relay ON job_due TO jeex_admin, jeex_app"),
    (catalogue.what_the_relay_sees_is_ids_and_times, "ALTER TABLE job_due ADD COLUMN kind text"),
    (catalogue.keys_and_indexes_lead_with_the_tenant, "CREATE INDEX ix ON document (path, tenant_id)"),
    (catalogue.keys_and_indexes_lead_with_the_tenant, "CREATE INDEX ix ON document (lower(path))"),
    (catalogue.keys_and_indexes_lead_with_the_tenant, "CREATE UNIQUE INDEX ix ON app_user (email_norm)"),
    (catalogue.keys_and_indexes_lead_with_the_tenant, f"{NEW} PRIMARY KEY (id, tenant_id))"),
    (catalogue.exclusions_name_the_tenant, "ALTER TABLE project ADD CONSTRAINT x UNIQUE (slug)"),
    (catalogue.exclusions_name_the_tenant, "ALTER TABLE project ADD CONSTRAINT x EXCLUDE USING hash (slug WITH =)"),
    (
        catalogue.foreign_keys_stay_within_the_tenant,
        f"{NEW} by uuid, FOREIGN KEY (id, tenant_id) REFERENCES app_user (id, tenant_id))",
    ),
    (
        catalogue.foreign_keys_stay_within_the_tenant,
        "ALTER TABLE project ADD CONSTRAINT x UNIQUE (id);"
        "ALTER TABLE document ADD CONSTRAINT y FOREIGN KEY (project_id) REFERENCES project (id)",
    ),
    (
        catalogue.foreign_keys_stay_within_the_tenant,
        "ALTER TABLE project ADD CONSTRAINT x FOREIGN KEY (tenant_id, created_by) REFERENCES app_user ON DELETE SET NULL",
    ),
    (
        catalogue.foreign_keys_stay_within_the_tenant,
        "ALTER TABLE project ADD CONSTRAINT x FOREIGN KEY (id) REFERENCES tenant NOT VALID",
    ),
    (
        catalogue.foreign_keys_stay_within_the_tenant,
        "CREATE TABLE note (a uuid, b uuid, FOREIGN KEY (a, b) REFERENCES document)",
    ),
    (catalogue.grants_are_no_more_than_rows, "GRANT TRUNCATE ON document TO jeex_app"),
    (catalogue.grants_are_no_more_than_rows, "GRANT SELECT ON document TO PUBLIC"),
    (catalogue.grants_are_no_more_than_rows, "GRANT SELECT ON document TO jeex_app WITH GRANT OPTION"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "ALTER TABLE document OWNER TO jeex_app"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "GRANT CREATE ON SCHEMA public TO jeex_admin"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "ALTER ROLE jeex_app BYPASSRLS"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "ALTER ROLE jeex_app SUPERUSER"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "GRANT jeex_owner TO jeex_app"),
    (catalogue.the_roles_of_the_service_can_bypass_nothing, "GRANT pg_read_all_data TO jeex_admin"),
    (catalogue.the_owner_sees_no_row, "ALTER TABLE document NO FORCE ROW LEVEL SECURITY"),
    (catalogue.the_owner_sees_no_row, "CREATE POLICY more ON document TO jeex_owner USING (true)"),
    (catalogue.the_owner_sees_no_row, "DELETE FROM document"),
)


@pytest.mark.parametrize(("check", "statement"), WRONG, ids=[f"{check.__name__}: {what[:60]}" for check, what in WRONG])
def test_each_check_notices(ask: Ask, check: Check, statement: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check(lambda query: ask(f"BEGIN; {statement}; {query}; ROLLBACK"))
    assert "ERROR" not in str(caught.value)  # noticed, not failed
