"""What each revision sends to PostgreSQL: safe for tables in use (squawk), and the same when it is run as a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations import lint, offline, revisions
from tests.integration.service.schema import difference, dump
from tests.integration.service.servers import Postgres

ALL = [one.id for one in revisions.history()]


def found(sql: str) -> set[str]:
    """The rules of squawk's that a script breaks."""
    program = lint.squawk()
    assert program is not None
    return {one.rule for one in lint.ask_squawk(program, "x", sql)}


def test_no_revision_holds_up_a_table_in_use() -> None:
    assert [one.line for one in lint.lint(revisions.history())] == []


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX IF NOT EXISTS x ON project (slug)", "require-concurrent-index-creation"),
        ("BEGIN; CREATE INDEX CONCURRENTLY x ON project (slug); COMMIT", "ban-concurrent-index-creation-in-transaction"),
        ("DROP INDEX IF EXISTS x", "require-concurrent-index-deletion"),
        ("ALTER TABLE app_user ADD CONSTRAINT x CHECK (role <> '')", "constraint-missing-not-valid"),
        (
            "BEGIN; ALTER TABLE app_user ADD CONSTRAINT x CHECK (role <> '') NOT VALID;"
            "ALTER TABLE app_user VALIDATE CONSTRAINT x; COMMIT",
            "constraint-missing-not-valid",
        ),
        ("ALTER TABLE project ADD CONSTRAINT x FOREIGN KEY (id) REFERENCES tenant", "adding-foreign-key-constraint"),
        ("ALTER TABLE project ADD CONSTRAINT x UNIQUE (slug)", "disallowed-unique-constraint"),
        ("ALTER TABLE app_user ALTER username SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE app_user ADD x uuid DEFAULT gen_random_uuid()", "adding-field-with-default"),
        ("ALTER TABLE app_user ADD x text NOT NULL", "adding-required-field"),
        ("ALTER TABLE app_user ALTER role TYPE int", "changing-column-type"),
        ("ALTER TABLE app_user RENAME role TO x", "renaming-column"),
        ("ALTER TABLE app_user DROP role", "ban-drop-column"),
        ("CREATE TABLE x (y timestamp)", "prefer-timestamp-tz"),
    ],
)
def test_the_rules_that_matter_are_in_force(statement: str, rule: str) -> None:
    assert rule in found(f"SET lock_timeout = '5s';\n{statement};")


def test_a_lock_is_waited_for_only_so_long() -> None:
    assert "require-lock-timeout" in found("ALTER TABLE app_user ADD x text;")


TABLE = "CREATE TABLE x (tenant_id uuid NOT NULL, id uuid, by uuid, PRIMARY KEY (tenant_id, id){});"
SAFE = ("ALTER TABLE x ENABLE ROW LEVEL SECURITY;", "ALTER TABLE x FORCE ROW LEVEL SECURITY;")


@pytest.mark.parametrize(
    ("statements", "rule"),
    [
        (("BEGIN;", "CREATE INDEX x ON project (tenant_id, name);"), "index-concurrently"),
        (("CREATE UNIQUE INDEX CONCURRENTLY x ON project (tenant_id, name);",), "index-if-not-exists"),
        (
            ("BEGIN;", "CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON project (tenant_id, name);"),
            "index-outside-transaction",
        ),
        (("DROP INDEX IF EXISTS x;",), "index-concurrently"),
        (("CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON public.project USING btree (name, tenant_id);",), "tenant-first"),
        (("BEGIN;", "ALTER TABLE project ADD CONSTRAINT x UNIQUE (name, tenant_id);"), "tenant-first"),
        ((TABLE.format(", FOREIGN KEY (by) REFERENCES app_user (id)"), *SAFE), "tenant-first"),
        (
            (
                TABLE.format(
                    ", FOREIGN KEY (tenant_id, by) REFERENCES app_user (tenant_id, id) ON DELETE SET NULL /* (by) */"
                ),
                *SAFE,
            ),
            "set-null",
        ),
        (("CREATE TABLE x (id uuid PRIMARY KEY);", *SAFE), "tenant-id"),
        ((TABLE.format(""), SAFE[0]), "row-security"),
        (("ALTER TABLE project ADD COLUMN x text;",), "column-if-not-exists"),
    ],
)
def test_the_rules_of_the_house_are_in_force(statements: tuple[str, ...], rule: str) -> None:
    assert {one.rule for one in lint.house_rules("x", statements)} == {rule}


def test_what_is_new_may_be_indexed_at_once() -> None:
    own = ", FOREIGN KEY (tenant_id, by) REFERENCES app_user (tenant_id, id) ON DELETE SET NULL (by)"
    made = ("BEGIN;", TABLE.format(own), *SAFE, "CREATE INDEX y ON x (tenant_id, by);", "COMMIT;")
    assert list(lint.house_rules("x", made)) == []


def test_run_as_a_script_it_makes_the_same_schema(postgres: Postgres, empty_database: str, tmp_path: Path) -> None:
    """What was linted is what runs."""
    path = tmp_path / "all.sql"
    path.write_text(offline.script(offline.upgrade(None, ALL[-1])))
    ran = postgres.psql("-f", str(path), user="jeex_owner", database=empty_database)
    assert ran.returncode == 0, ran.stderr
    assert difference(dump(postgres, "migrated"), dump(postgres, empty_database)) == []
    assert postgres.sql("SELECT version_num FROM alembic_version", database=empty_database) == ALL[-1]
