"""Revisions that a developer writes: made from the models, failing half way, killed in the midst of an index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docker.stack import ROOT
from tests.e2e.conftest import Cli
from tests.e2e.db.conftest import HEAD, current, failed, sql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# The revisions that are written here.
FIRST, SECOND = (f"{int(HEAD) + more:04}" for more in (1, 2))


@pytest.fixture(scope="module", autouse=True)
def at_head(cli: Cli) -> None:
    """With rows that a revision must keep."""
    cli.run("db", "migrate")
    cli.run("db", "seed", "--tenants", "1", "--documents", "20")


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
