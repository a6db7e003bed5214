# ruff: noqa: S608 - every text in these statements is the tests' own
"""Each revision up, down and up again over rows, and what becomes of one that is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from migrations import engine, revisions, runner
from service.core.errors import MigrationFailed
from tests.integration.service.machine import stop, until
from tests.integration.service.processes import Service
from tests.integration.service.schema import difference, dump
from tests.integration.service.servers import PG_BIN, SUPERUSER, Postgres

ALL = [one.id for one in revisions.history()]

# What each revision makes room for, in two tenants; some of it deleted, revoked or without a value.
ROWS = {
    "0001": """
      INSERT INTO tenant (slug, name, deleted_at)
      SELECT slug, slug, gone FROM (VALUES ('acme', NULL), ('other', NULL), ('acme', now())) AS v(slug, gone);
      INSERT INTO app_user (tenant_id, email, display_name, role, deleted_at)
      SELECT t.id, 'User' || n || '@X.example', 'User ' || n, 'admin', CASE WHEN n = 3 THEN now() END
        FROM tenant t, generate_series(1, 3) AS n;
      INSERT INTO api_key (tenant_id, user_id, name, secret_hash, expires_at, revoked_at)
      SELECT u.tenant_id, u.id, 'key', sha256(n::text::bytea), CASE n WHEN 1 THEN now() + interval '1 day' END,
             CASE n WHEN 2 THEN now() END
        FROM app_user u, generate_series(1, 3) AS n;
    """,
    "0002": """
      UPDATE app_user SET username = split_part(email_norm, '@', 1), password_hash = '$argon2id$v=19$x'
       WHERE deleted_at IS NULL;
      INSERT INTO project (tenant_id, slug, name, metadata, created_by, deleted_at)
      SELECT tenant_id, split_part(email_norm, '@', 1), 'Project', '{"a": [1]}', id, deleted_at FROM app_user;
      INSERT INTO document (tenant_id, project_id, path, title, content, created_by)
      SELECT p.tenant_id, p.id, 'a/b' || n, 'Document', repeat('x', 10000), p.created_by
        FROM project p, generate_series(1, 3) AS n;
      INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint, status, response)
      SELECT tenant_id, id, 'key', sha256('x'), 201, '{}' FROM app_user;
    """,
    "0003": "",
    "0004": "",
    "0005": """
      INSERT INTO job (tenant_id, kind, args, status, attempts, unique_key, lease_token, lease_until, result, finished_at)
      SELECT t.id, 'project.export', '{"a": [1]}', s.status, n, CASE WHEN n < 2 THEN 'key' || n END,
             CASE s.status WHEN 'running' THEN gen_random_uuid() END, now(),
             CASE s.status WHEN 'done' THEN '{"bytes": 1}'::jsonb END, CASE WHEN n > 1 THEN now() END
        FROM tenant t, unnest(ARRAY['queued', 'running', 'done', 'dead', 'cancelled']) WITH ORDINALITY AS s(status, place),
             LATERAL (SELECT place - 1 AS n) AS counted;
      INSERT INTO job_due (tenant_id, job_id, stage) SELECT tenant_id, id, 'sent' FROM job WHERE finished_at IS NULL;
      INSERT INTO job_result (tenant_id, job_id, part, bytes) SELECT tenant_id, id, 0, 'PK' FROM job WHERE status = 'done';
    """,
}


def columns(postgres: Postgres, database: str) -> dict[str, str]:
    """The tables and their columns."""
    found = postgres.sql(
        "SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY column_name) "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version' GROUP BY 1",
        database=database,
    )
    return dict(line.split("|") for line in found.splitlines())


def rows(postgres: Postgres, database: str, known: dict[str, str]) -> dict[str, list[str]]:
    """What is in these columns."""
    return {
        table: sorted(postgres.sql(f"SELECT {names} FROM {table}", database=database).splitlines())
        for table, names in known.items()
    }


def test_every_revision_goes_up_down_and_up_over_rows(postgres: Postgres, empty_database: str) -> None:
    assert list(ROWS) == ALL, "a revision without rows to be tried over"
    url, name = postgres.url("owner", empty_database), empty_database
    for below, revision in zip(["base", *ALL], ALL, strict=False):
        known = columns(postgres, name)
        schema, there = dump(postgres, name), rows(postgres, name, known)
        assert all(there.values())
        runner.upgrade(url, revision)
        made = dump(postgres, name)
        assert difference(schema, made)
        assert rows(postgres, name, known) == there

        postgres.sql(ROWS[revision] or "SELECT", database=name)
        there = rows(postgres, name, known)
        runner.downgrade(url, below)
        assert difference(schema, dump(postgres, name)) == []
        assert rows(postgres, name, known) == there
        runner.upgrade(url, revision)
        assert difference(made, dump(postgres, name)) == []
        assert rows(postgres, name, known) == there
        postgres.sql(ROWS[revision] or "SELECT", database=name)  # what the way down has lost

    runner.downgrade(url, "base")
    assert columns(postgres, name) == {}
    assert runner.upgrade(url).after == ALL[-1]


@pytest.fixture
def seeded(postgres: Postgres, empty_database: str) -> str:
    """A database with rows, at the revision before the indexes."""
    for revision in ("0001", "0002"):
        runner.upgrade(postgres.url("owner", empty_database), revision)
        postgres.sql(ROWS[revision], database=empty_database)
    return empty_database


def finished(postgres: Postgres, database: str) -> None:
    """The same schema as without an interruption, and every index valid."""
    assert invalid(postgres, database) == ""
    assert difference(dump(postgres, "migrated"), dump(postgres, database)) == []
    assert runner.status(postgres.url("owner", database)).pending == ()


def invalid(postgres: Postgres, database: str) -> str:
    return postgres.sql("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid", database=database)


def test_an_index_that_could_not_be_made_is_made_again(postgres: Postgres, seeded: str) -> None:
    url = postgres.url("owner", seeded)
    postgres.sql("UPDATE project SET slug = 'same', deleted_at = NULL", database=seeded)
    with pytest.raises(MigrationFailed, match="uq_project_tenant_id_slug"):
        runner.upgrade(url)
    assert invalid(postgres, seeded) == "uq_project_tenant_id_slug"
    assert runner.status(url).current == "0002"
    postgres.sql("UPDATE project SET slug = 'same-' || left(md5(id::text), 8)", database=seeded)
    runner.upgrade(url)
    finished(postgres, seeded)


def test_rows_that_break_a_new_constraint_are_told_of(postgres: Postgres, seeded: str) -> None:
    url = postgres.url("owner", seeded)
    postgres.sql("UPDATE api_key SET expires_at = created_at - interval '1 day'", database=seeded)
    with pytest.raises(MigrationFailed, match="ck_api_key_expires_at"):
        runner.upgrade(url)
    assert runner.status(url).current == "0003"
    postgres.sql("UPDATE api_key SET expires_at = NULL", database=seeded)
    runner.upgrade(url)
    finished(postgres, seeded)


def test_a_table_that_comes_free_is_no_failure(postgres: Postgres, seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(runner, "PAUSES", (0.01, 0.01))
    with ExitStack() as held:
        held.enter_context(holding(postgres, seeded, "api_key IN ACCESS SHARE"))
        listener = runner.Listener(waits=lambda _, __: held.close())
        assert runner.upgrade(postgres.url("owner", seeded), listener=listener).after == ALL[-1]
    finished(postgres, seeded)


@contextmanager
def holding(postgres: Postgres, database: str, lock: str) -> Iterator[None]:
    """A transaction that holds a lock, and waits for nothing."""
    psql = subprocess.Popen(
        [str(PG_BIN / "psql"), "-XqAt", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres", database],
        env={"PATH": os.defpath, "PGPASSWORD": SUPERUSER},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert psql.stdin is not None and psql.stdout is not None
    with psql:
        psql.stdin.write(f"BEGIN; LOCK TABLE {lock} MODE;\n\\echo held\n")
        psql.stdin.flush()
        assert psql.stdout.readline() == "held\n"
        yield


def statements(postgres: Postgres, database: str) -> str:
    """What the connections of a migration are at, one per line; an idle one's last."""
    return postgres.sql(
        "SELECT state, wait_event_type, replace(query, E'\\n', ' ') FROM pg_stat_activity "
        f"WHERE application_name = 'jeex-migrate' AND datname = '{database}'"
    )


@pytest.mark.parametrize(
    ("at", "lock", "waiting"),
    [
        ("0001", "tenant IN ROW EXCLUSIVE", "CREATE TABLE project"),  # the columns are there, no table is
        ("0002", "document IN ROW EXCLUSIVE", "CREATE INDEX"),  # some indexes, and one that is invalid
        ("0003", "api_key IN ACCESS SHARE", "ALTER TABLE api_key"),  # some constraints, none of them validated
    ],
)
def test_a_process_killed_halfway_is_made_up_for(
    postgres: Postgres, empty_database: str, tmp_path: Path, *, at: str, lock: str, waiting: str
) -> None:
    name, url = empty_database, postgres.url("owner", empty_database)
    runner.upgrade(url, at)
    before = dump(postgres, name)
    process = Service("migrate", {"DATABASE_OWNER_URL": url}, tmp_path / "log")
    with holding(postgres, name, lock):
        process.start()
        try:
            until(lambda: re.search(f"^active.Lock.*{waiting}", statements(postgres, name), re.MULTILINE))
            if at == "0002":  # nobody who writes waits for it
                postgres.sql("SET lock_timeout = '1s'; UPDATE document SET title = title", database=name)
        finally:
            stop(process.process, signal.SIGKILL)
        # Its connections end with it, although one is in a statement, and what that waits for goes on.
        until(lambda: statements(postgres, name) == "")
    assert runner.status(url).current == at
    assert difference(before, dump(postgres, name))
    assert bool(invalid(postgres, name)) == (at == "0002")
    runner.upgrade(url)
    finished(postgres, name)


def test_a_table_in_use_is_not_waited_for_forever(postgres: Postgres, seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after the revision with indexes, which has more patience than others."""
    url = postgres.url("owner", seeded)
    monkeypatch.setattr(engine, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(runner, "PAUSES", (0.01, 0.01))
    waits: list[Sequence[str]] = []
    with holding(postgres, seeded, "api_key IN ACCESS SHARE"), pytest.raises(MigrationFailed) as caught:
        runner.upgrade(url, listener=runner.Listener(waits=lambda _, who: waits.append(who)))
    assert caught.value.code == "MIGRATION_LOCK_TIMEOUT"
    # It was tried again and again, and says who was in the way and where it stands.
    assert len(waits) == 2
    assert "holds api_key (AccessShareLock)" in waits[0][0]
    assert (caught.value.revision, caught.value.applied, caught.value.kept) == ("0004", ("0003",), 2)
    assert caught.value.statement.startswith("-- squawk-ignore ban-drop-constraint ALTER TABLE api_key")
    assert caught.value.holders == tuple(waits[0])
    assert runner.status(url).current == "0003"
    runner.upgrade(url)
    finished(postgres, seeded)
