"""Migrations and models make the same schema: columns, constraints, predicates, comments, policies, grants and owners.

Compared is what pg_dump writes: Alembic's own comparison sees neither CHECKs nor predicates nor policies.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from service.models import Base
from tests.integration.service.conftest import run
from tests.integration.service.schema import difference, dump
from tests.integration.service.servers import Postgres


@pytest.fixture(scope="module")
def modelled(postgres: Postgres) -> Iterator[str]:
    """A database that the models made."""
    name = postgres.copy("modelled", "jeex")
    run(create_all(postgres.url("owner", name)))
    yield name
    postgres.drop(name)


async def create_all(owner_url: str) -> None:
    engine = create_async_engine(owner_url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    finally:
        await engine.dispose()


def test_models_and_migrations_make_the_same_schema(postgres: Postgres, modelled: str) -> None:
    found = dump(postgres, modelled)
    assert difference(dump(postgres, "migrated"), found) == []
    for part in (
        "CREATE TABLE",
        "CREATE UNIQUE INDEX",
        "CHECK (",
        "CREATE POLICY",
        "GRANT",
        "FORCE ROW",
        "COMMENT ON INDEX",
    ):
        assert any(part in line for line in found), part


# What the comparison must see, each with a word of the statement that it should show.
CHANGES = {
    "a predicate": (
        "DROP INDEX ix_project_tenant_id_name;"
        "CREATE INDEX ix_project_tenant_id_name ON project (tenant_id, name, id) WHERE deleted_at IS NOT NULL;"
        "COMMENT ON INDEX ix_project_tenant_id_name IS 'list by name'",
        "ix_project_tenant_id_name",
    ),
    "the order of an index": (
        "DROP INDEX ix_project_tenant_id_name;"
        "CREATE INDEX ix_project_tenant_id_name ON project (tenant_id, name, id DESC) WHERE deleted_at IS NULL;"
        "COMMENT ON INDEX ix_project_tenant_id_name IS 'list by name'",
        "ix_project_tenant_id_name",
    ),
    "a lost index": ("DROP INDEX ix_document_tenant_id_type", "ix_document_tenant_id_type"),
    "a comment": ("COMMENT ON INDEX pk_project IS 'x'", "pk_project"),
    "a check": (
        "ALTER TABLE project DROP CONSTRAINT ck_project_description,"
        "ADD CONSTRAINT ck_project_description CHECK (length(description) <= 4001)",
        "ck_project_description",
    ),
    "a check of old rows": (
        "ALTER TABLE project DROP CONSTRAINT ck_project_status,"
        "ADD CONSTRAINT ck_project_status CHECK (status IN ('active', 'archived')) NOT VALID",
        "ck_project_status",
    ),
    "a foreign key's action": (
        "ALTER TABLE document DROP CONSTRAINT fk_document_project, ADD CONSTRAINT fk_document_project "
        "FOREIGN KEY (tenant_id, project_id) REFERENCES project (tenant_id, id)",
        "fk_document_project",
    ),
    "a column's default": ("ALTER TABLE document ALTER status SET DEFAULT 'published'", "CREATE TABLE public.document"),
    "a column's collation": ('ALTER TABLE app_user ALTER username TYPE text COLLATE "C"', "CREATE TABLE public.app_user"),
    "a column that may be null": ("ALTER TABLE document ALTER content DROP NOT NULL", "CREATE TABLE public.document"),
    "a policy's rows": (
        "ALTER POLICY own_tenant ON document USING (tenant_id = current_setting('app.tenant_id', true)::uuid)",
        "POLICY own_tenant",
    ),
    "a policy's check": ("ALTER POLICY own_tenant ON document WITH CHECK (true)", "POLICY own_tenant"),
    "a policy's roles": ("ALTER POLICY own_tenant ON document TO jeex_app", "POLICY own_tenant"),
    "one policy more": ("CREATE POLICY more ON document TO jeex_owner USING (true)", "POLICY more"),
    "a lost policy": ("DROP POLICY own_tenant ON project", "POLICY own_tenant"),
    "not forced": ("ALTER TABLE idempotent_request NO FORCE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"),
    "not enabled": ("ALTER TABLE idempotent_request DISABLE ROW LEVEL SECURITY", "ENABLE ROW LEVEL SECURITY"),
    "a lost grant": ("REVOKE DELETE ON document FROM jeex_app", "GRANT"),
    "one grant more": ("GRANT UPDATE ON tenant TO jeex_app", "GRANT"),
    "a grant for everyone": ("GRANT SELECT ON document TO PUBLIC", "PUBLIC"),
    "another owner": ("ALTER TABLE document OWNER TO jeex_admin", "OWNER TO jeex_admin"),
    "a trigger": (
        "CREATE TRIGGER more BEFORE UPDATE ON document FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "TRIGGER more",
    ),
    "one table more": ("CREATE TABLE more (id int)", "CREATE TABLE public.more"),
}


class Changing:
    """A database of the models that changes go into, one after the other: a copy for each would take longer."""

    def __init__(self, postgres: Postgres, name: str) -> None:
        self.postgres, self.name = postgres, name
        self.dumped = dump(postgres, name)

    def change(self, statement: str) -> list[str]:
        """What is different afterwards."""
        self.postgres.sql(statement, database=self.name)
        before, self.dumped = self.dumped, dump(self.postgres, self.name)
        return difference(before, self.dumped)


@pytest.fixture(scope="module")
def changing(postgres: Postgres, modelled: str) -> Iterator[Changing]:
    name = postgres.copy("changing", modelled)
    yield Changing(postgres, name)
    postgres.drop(name)


@pytest.mark.parametrize("what", CHANGES)
def test_the_comparison_sees(changing: Changing, what: str) -> None:
    change, shown = CHANGES[what]
    found = changing.change(change)
    assert any(shown in line for line in found), found


def test_the_order_in_which_columns_were_added_does_not_matter(changing: Changing) -> None:
    again = "ADD CONSTRAINT ck_document_version CHECK (version >= 1)"
    column = "ADD version integer DEFAULT 1 NOT NULL"
    assert changing.change(f"ALTER TABLE document DROP version; ALTER TABLE document {column}, {again}") == []
