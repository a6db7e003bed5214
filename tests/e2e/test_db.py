"""`jeex db` against a PostgreSQL of its own: schema and data changed, taken back, broken and mended, without fear.

The platform is a clone of its own, for revisions are written into it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrations import revisions
from tests.docker.stack import ROOT
from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.test_tenant_keys import answered

# Some of these run a dozen commands, one after the other.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ALL = [one.id for one in revisions.history()]
HEAD = ALL[-1]
# The revisions that are written here.
FIRST, SECOND = (f"{int(HEAD) + more:04}" for more in (1, 2))
OF_THE_FIRST = {"alembic_version", "api_key", "app_user", "tenant"}  # the tables that 0001 makes


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a developer works in."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("jeex_cli", "service", "migrations", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("compose.yaml", "pyproject.toml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def cli(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    one = make_cli(tmp_path_factory.mktemp("db"))
    one.program = (sys.executable, "-m", "jeex_cli")
    one.extra["PYTHONPATH"] = str(clone)
    try:
        one.run("up", "postgres")
        yield one
        one.run("down")
        one.assert_nothing_left()
    finally:
        kill_leftovers(one)


def sql(cli: Cli, statement: str) -> str:
    """What a superuser is answered."""
    arguments = ("-v", "ON_ERROR_STOP=1", "-Atc", statement)
    return cli.run("db", "shell", "--role", "superuser", "--", *arguments).stdout.strip()


def failed(cli: Cli, *arguments: str, code: int) -> tuple[dict[str, Any], Any]:
    """The error of a `--json` run, and what was found out nevertheless."""
    document = json.loads(cli.run(*arguments, "--json", code=code).stdout)
    return document["error"], document.get("data")


def current(cli: Cli) -> Any:
    return cli.json("db", "status")["current"]


def test_a_first_migration_is_shown_then_done(cli: Cli) -> None:
    found = cli.json("db", "status")
    assert (found["current"], [one["id"] for one in found["pending"]]) == (None, ALL)

    shown = cli.run("db", "migrate", "--dry-run").stdout
    assert "CREATE TABLE tenant" in shown
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_document_tenant_id_type" in shown
    assert current(cli) is None

    told = cli.run("db", "migrate", "--to", "0002")
    lines = [line.strip() for line in told.stderr.splitlines()]
    assert lines[0] == "apply 2 from nothing to 0002:"
    assert lines[1].startswith("0001  tenants")
    assert [line.split()[1] for line in lines[3:]] == ["lint", "0001", "0002"]  # progress, after the plan
    assert current(cli) == "0002"

    done = cli.json("db", "migrate")
    assert (done["before"], done["after"], done["applied"]) == ("0002", HEAD, ALL[2:])
    again = cli.json("db", "migrate")
    assert (again["before"], again["after"], again["applied"]) == (HEAD, HEAD, [])
    assert cli.run("db", "migrate", "--dry-run").stdout == f"-- nothing to do, at {HEAD}\n"
    assert failed(cli, "db", "migrate", "--to", "nope", code=2)[0]["code"] == "REVISION_UNKNOWN"
    assert cli.run("db", "check").stdout == "the live schema is what the models say\n"


def test_three_at_once_migrate_once(cli: Cli) -> None:
    cli.run("db", "reset", "--yes")
    cli.run("db", "rollback", "--to", "base", "--yes")
    started = [cli.start("db", "migrate", "--json") for _ in range(3)]
    ended = [(*one.communicate(timeout=100), one.returncode) for one in started]
    assert [code for _, _, code in ended] == [0, 0, 0], ended
    applied = [json.loads(out)["data"]["applied"] for out, _, _ in ended]
    assert sorted(applied) == [[], [], ALL]


def test_demo_data_is_the_same_for_the_same_seed(cli: Cli) -> None:
    size = ("--seed", "7", "--tenants", "2", "--users", "5", "--projects", "3", "--documents")
    first = cli.json("db", "seed", *size, "1200")
    assert first["made"] == {"tenants": 2, "users": 10, "projects": 6, "documents": 2400}
    assert first["tenants"] == ["demo-7-1", "demo-7-2"]
    digest = "SELECT md5(string_agg(d::text, '|' ORDER BY d.id)) FROM (SELECT id, path, title, content FROM document) d"
    rows = sql(cli, digest)
    again = cli.json("db", "seed", *size, "1200")
    assert set(again["made"].values()) == {0}
    assert sql(cli, digest) == rows

    # More of it adds to what is there; made anew, it is the same.
    assert cli.json("db", "seed", *size, "1210")["made"]["documents"] == 20
    cli.run("db", "reset", "--yes")
    assert sql(cli, "SELECT count(*) FROM tenant") == "0"
    cli.run("db", "seed", *size, "1200")
    assert sql(cli, digest) == rows

    assert failed(cli, "db", "seed", "--tenants", "0", code=2)[0]["code"] == "SIZE_INVALID"


def test_explain_says_which_index_and_policy(cli: Cli) -> None:
    sql(cli, "ANALYZE")
    query = "SELECT title FROM document ORDER BY updated_at DESC, id DESC LIMIT 10"
    wanted = "SELECT * FROM document WHERE deleted_at IS NULL ORDER BY updated_at DESC, id DESC LIMIT 10"
    found = cli.json("db", "explain", "--tenant", "demo-7-1", wanted)
    assert found["indexes"] == ["ix_document_tenant_id_updated_at"]
    assert found["policies"] == [{"table": "document", "name": "own_tenant", "how": "index"}]
    assert found["warnings"] == []
    assert failed(cli, "db", "explain", query, code=2)[0]["code"] == "TENANT_NEEDED"
    assert failed(cli, "db", "explain", "SELECT 1; SELECT 2", code=2)[0]["code"] == "STATEMENT_REFUSED"
    assert failed(cli, "db", "explain", "--tenant", "nobody", query, code=1)[0]["code"] == "TENANT_UNKNOWN"

    # Carried out, it changes nothing, and sees nobody else's rows.
    told = cli.run("db", "explain", "--analyze", "--tenant", "demo-7-1", "UPDATE document SET title = 'x'").stdout
    assert re.search(r"in fact 1200 in [\d.]+ ms", told), told
    assert sql(cli, "SELECT count(*) FROM document WHERE title = 'x'") == "0"

    # A big table that is read as a whole is told of.
    sql(cli, "UPDATE pg_class SET reltuples = 1000000 WHERE relname = 'document'")
    slow = cli.json("db", "explain", "--tenant", "demo-7-1", "SELECT count(*) FROM document WHERE content LIKE '%x%'")
    sequential = any("Seq Scan" in line for line in slow["lines"])
    assert any("reads all of document" in one for one in slow["warnings"]) == sequential
    sql(cli, "ANALYZE")


def test_drift_is_found_explained_and_mended(cli: Cli) -> None:
    sql(cli, "ALTER POLICY own_tenant ON document USING (true)")
    sql(cli, "GRANT TRUNCATE ON project TO jeex_app; ALTER ROLE jeex_app BYPASSRLS; DROP INDEX ix_document_tenant_id_type")
    error, data = failed(cli, "db", "check", code=7)
    assert error["code"] == "SCHEMA_DRIFT"
    names = {(one["kind"], one["name"]) for one in data["differences"]}
    assert names == {
        ("policy", "document.own_tenant"),
        ("grant", "project to jeex_app"),
        ("role", "jeex_app"),
        ("index", "ix_document_tenant_id_type"),
    }
    assert "role jeex_app: LOGIN BYPASSRLS; should be LOGIN" in error["detail"].splitlines()
    assert "ALTER ROLE jeex_app NOBYPASSRLS;" in error["detail"]
    script = cli.run("db", "check", "--sql").stdout
    cli.run("db", "shell", "--role", "superuser", "--", "-v", "ON_ERROR_STOP=1", "-f", "-", text=script)
    assert cli.json("db", "check")["differences"] == []
    assert sql(cli, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jeex_models%'") == "0"


def test_a_rollback_says_what_it_loses_and_asks(cli: Cli) -> None:
    shown = cli.json("db", "rollback", "--to", "0001", "--dry-run")
    tables = set(sql(cli, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split())
    filled = {"document": 2400, "project": 6}
    assert shown["lost"][-2:] == ["column app_user.password_hash: 0 values", "column app_user.username: 10 values"]
    assert sorted(shown["lost"][:-2]) == [f"table {one}: {filled.get(one, 0)} rows" for one in sorted(tables - OF_THE_FIRST)]
    assert "DROP TABLE document" in shown["sql"]
    error = failed(cli, "db", "rollback", "--to", "0001", code=2)[0]
    assert (error["code"], error["hint"]) == ("NEEDS_YES", "jeex db rollback --to 0001 --yes")
    assert "table document: 2400 rows" in error["detail"]
    refused = answered(cli, "n", "db", "rollback", "--to", "0001")
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stderr
    assert current(cli) == HEAD

    cli.run("db", "rollback", "--to", "0004", "--yes")
    agreed = answered(cli, "y", "db", "rollback")
    assert agreed.returncode == 0, agreed.stderr
    assert "no rows are lost" in agreed.stderr
    assert current(cli) == "0003"
    assert failed(cli, "db", "check", code=1)[0]["code"] == "REVISIONS_PENDING"
    assert failed(cli, "db", "rollback", "--to", "0004", code=2)[0]["code"] == "NOT_BEHIND"
    assert failed(cli, "db", "rollback", "--steps", str(len(ALL)), code=2)[0]["code"] == "TOO_MANY_STEPS"
    assert cli.json("db", "migrate")["applied"] == ALL[ALL.index("0004") :]
    assert sql(cli, "SELECT count(*) FROM document") == "2400"
    assert failed(cli, "db", "reset", code=2)[0]["code"] == "NEEDS_YES"


NOTE = '''"""Notes."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import Mapped

from service.models.base import ACTIVE, Base, SoftDeleteMixin, TenantMixin, index


class Note(SoftDeleteMixin, TenantMixin, Base):
    """A remark on a document."""

    __tablename__ = "note"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["document.tenant_id", "document.id"],
            name="fk_note_document",
            ondelete="CASCADE",
        ),
        CheckConstraint("length(text) <= 100 AND text ~ '^[^:]+$'", name="text"),
        index("ix_note_tenant_id_document_id", "tenant_id", "document_id", where=ACTIVE, serves="notes of a document"),
    )

    document_id: Mapped[uuid.UUID]
    text: Mapped[str]
'''


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)


def test_a_revision_has_what_autogenerate_misses(cli: Cli, clone: Path) -> None:
    nothing = cli.json("db", "revision", "-m", "nothing")
    assert (nothing["path"], nothing["changes"]) == ("", [])

    models = clone / "service" / "models"
    (models / "note.py").write_text(NOTE)
    edit(
        models / "__init__.py",
        ("from service.models.idempotency", "from service.models import note\nfrom service.models.idempotency"),
    )
    edit(
        models / "project.py",
        ("length(description) <= 4000", "length(description) <= 5000"),
        ('where=ACTIVE, serves="list by name"', 'where="deleted_at IS NULL AND status = \'active\'", serves="list by name"'),
        (
            '    description: Mapped[str] = mapped_column(server_default="")\n',
            '    description: Mapped[str] = mapped_column(server_default="")\n    colour: Mapped[str | None]\n',
        ),
    )
    own = '(Policy("own_tenant", (APP, ADMIN), f"tenant_id = {_BOUND}"),),\n    {APP: _CHANGE, ADMIN: '
    edit(models / "security.py", (f"{own}_CHANGE}}", f'{own}("SELECT", "INSERT")}}'))

    made = cli.json("db", "revision", "-m", "notes, and colours of projects")
    assert made["revision"] == FIRST
    path = Path(made["path"])
    assert path == clone / "migrations" / "versions" / f"{FIRST}_notes_and_colours_of_projects.py"
    text = path.read_text()
    for part in (
        "CREATE TABLE note",
        "ALTER TABLE note FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own_tenant ON note",
        "GRANT DELETE, INSERT, SELECT, UPDATE ON note TO jeex_app",
        "ADD COLUMN IF NOT EXISTS colour text",
        "VALIDATE CONSTRAINT ck_project_description",
        'drop_index("ix_project_tenant_id_name")',
        "REVOKE DELETE, UPDATE ON document FROM jeex_admin",
    ):
        assert part in text, text
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert formatted.returncode == 0, formatted.stdout
    assert cli.json("db", "lint", FIRST)["problems"] == []

    before = sql(cli, "SELECT count(*) FROM document")
    assert cli.json("db", "migrate")["applied"] == [FIRST]  # and verified
    assert cli.json("db", "check")["differences"] == []
    cli.run("db", "rollback", "--yes")
    assert cli.json("db", "migrate")["applied"] == [FIRST]
    assert sql(cli, "SELECT count(*) FROM document") == before
    assert sql(cli, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jeex%'") == "0"

    (clone / "pyproject.toml").rename(clone / "elsewhere")
    assert failed(cli, "db", "revision", "-m", "x", code=3)[0]["code"] == "NOT_A_CLONE"
    (clone / "elsewhere").rename(clone / "pyproject.toml")
    assert failed(cli, "db", "revision", "-m", 'x"""', code=2)[0]["code"] == "MESSAGE_INVALID"


def test_a_revision_that_fails_says_where_it_stands(cli: Cli, clone: Path) -> None:
    made = Path(cli.json("db", "revision", "--empty", "-m", "broken")["path"])
    empty = made.read_text()
    body = (
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("ALTER TABLE note ADD COLUMN IF NOT EXISTS a text")\n'
        '    op.execute("CREATE INDEX ix_note_a ON note (a)")\n    op.execute("UPDATE nothing SET a = 1")\n'
    )
    made.write_text(
        empty.replace('"""What this revision brings."""\n    pass\n', f'"""What this revision brings."""\n{body}')
    )
    error, data = failed(cli, "db", "migrate", code=1)
    assert error["code"] == "LINT"
    rules = {one["rule"] for one in data["problems"] if one["source"] == "jeex"}
    assert rules == {"index-concurrently", "tenant-first"}
    assert current(cli) == FIRST
    assert failed(cli, "db", "lint", code=1)[0]["code"] == "LINT"

    error, data = failed(cli, "db", "migrate", "--no-lint", code=1)
    assert error["code"] == "MIGRATION_FAILED"
    assert error["message"].startswith(f"revision {SECOND} failed:")
    assert 'relation "nothing" does not exist' in error["message"]
    assert "statement: UPDATE nothing SET a = 1" in error["detail"]
    assert f"the database is at {FIRST}; of {SECOND} 1 statements stay" in error["detail"]
    assert (data["revision"], data["current"], data["applied"], data["kept_statements"]) == (SECOND, FIRST, [], 1)
    assert sql(cli, "SELECT to_regclass('ix_note_a') IS NULL") == "t"
    sql(cli, "ALTER TABLE note DROP a")
    made.unlink()
    assert cli.json("db", "migrate")["applied"] == []


def test_a_migration_killed_mid_index_is_made_up_for(cli: Cli, clone: Path) -> None:
    edit(
        clone / "service" / "models" / "note.py",
        (
            '        index("ix_note',
            '        index("ix_note_tenant_id_text", "tenant_id", "text", serves="notes by text"),\n        index("ix_note',
        ),
    )
    cli.run("db", "revision", "-m", "notes by text")
    holder = cli.start(
        "db", "shell", "--role", "superuser", "--", "-c", "BEGIN; LOCK note IN ROW EXCLUSIVE MODE; SELECT pg_sleep(60)"
    )
    try:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jeex-migrate' AND wait_event_type = 'Lock'"
        held = "SELECT count(*) FROM pg_locks WHERE relation = 'note'::regclass AND mode = 'RowExclusiveLock'"
        wait_for(cli, held, "1")
        migration = cli.start("db", "migrate")
        wait_for(cli, waits, "1")
        assert cli.json("db", "status")["migrating"]
        os.killpg(migration.pid, signal.SIGKILL)
        migration.communicate()
        # The server notices within a second that nobody waits for the index any more: not to be had a moment sooner.
        wait_for(cli, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jeex-migrate'", "0")
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()
    others = "application_name = 'psql' AND pid <> pg_backend_pid()"
    sql(cli, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608
    found = cli.json("db", "status")
    assert (found["current"], found["invalid_indexes"], found["migrating"]) == (FIRST, ["ix_note_tenant_id_text"], False)

    assert cli.json("db", "migrate")["applied"] == [SECOND]
    assert cli.json("db", "status")["invalid_indexes"] == []
    assert cli.json("db", "check")["differences"] == []


def wait_for(cli: Cli, query: str, answer: str) -> None:
    deadline = time.monotonic() + 60
    while sql(cli, query) != answer:
        assert time.monotonic() < deadline, query
        time.sleep(0.1)
