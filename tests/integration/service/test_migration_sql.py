"""What each revision sends to PostgreSQL: safe for tables in use (squawk), and the same when it is run as a script."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from migrations import revisions
from tests.integration.service.schema import difference, dump
from tests.integration.service.servers import ROOT, Postgres

ALL = [one.id for one in revisions.history()]
SQUAWK = Path(sys.executable).with_name("squawk")


def script(span: str) -> str:
    """The SQL of revisions, as `alembic upgrade SPAN --sql` prints it."""
    written = io.StringIO()
    command.upgrade(Config(ROOT / "migrations" / "alembic.ini", output_buffer=written), span, sql=True)
    return written.getvalue()


def lint(sql: str) -> subprocess.CompletedProcess[str]:
    """squawk, with the rules of .squawk.toml."""
    argv = [str(SQUAWK), "--config", str(ROOT / ".squawk.toml"), "--reporter", "gcc", "--stdin-filepath", "x.sql"]
    return subprocess.run(argv, input=sql, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("below", "revision"), list(zip(["", *ALL], ALL, strict=False)))
def test_no_revision_holds_up_a_table_in_use(below: str, revision: str) -> None:
    found = lint(script(f"{below}:{revision}" if below else revision))
    assert found.returncode == 0, found.stdout + found.stderr


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
    found = lint(f"SET lock_timeout = '5s';\n{statement};")
    assert found.returncode == 1
    assert rule in found.stdout


def test_a_lock_is_waited_for_only_so_long() -> None:
    assert "require-lock-timeout" in lint("ALTER TABLE app_user ADD x text;").stdout


def test_run_as_a_script_it_makes_the_same_schema(postgres: Postgres, empty_database: str, tmp_path: Path) -> None:
    """What was linted is what runs."""
    path = tmp_path / "all.sql"
    path.write_text(script("head"))
    ran = postgres.psql("-f", str(path), user="jeex_owner", database=empty_database)
    assert ran.returncode == 0, ran.stderr
    assert difference(dump(postgres, "migrated"), dump(postgres, empty_database)) == []
    assert postgres.sql("SELECT version_num FROM alembic_version", database=empty_database) == ALL[-1]
