# ruff: noqa: S608 - every text in these statements is the tests' own
"""How a live schema differs from the models: every kind of difference is found, and mended by what is said to mend it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from migrations import catalogue, drift, runner
from migrations.catalogue import Facts
from migrations.drift import Difference
from tests.integration.service.machine import until
from tests.integration.service.servers import ROOT, Postgres
from tests.integration.service.test_parity import CHANGES


@pytest.fixture(scope="module")
def live(postgres: Postgres) -> Iterator[str]:
    """A migrated database that each test leaves as it was."""
    name = postgres.copy("drifting", "migrated")
    yield name
    postgres.drop(name)


def look(postgres: Postgres, database: str) -> tuple[Difference, ...]:
    return runner.inspect(postgres.url("owner", database), drift.look)


def mend(postgres: Postgres, database: str, found: tuple[Difference, ...]) -> None:
    for one in found:
        for statement in one.mend:
            postgres.sql(statement, database=database)


def schemas(postgres: Postgres, database: str) -> str:
    return postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jeex_models%'", database=database)


def test_what_the_migrations_made_is_what_the_models_say(postgres: Postgres, live: str) -> None:
    assert [one.line for one in look(postgres, live)] == []
    assert schemas(postgres, live) == "0"


# Beyond what the comparison of dumps must see: what is of the server, and what a dump does not tell.
MORE = {
    "a role that bypasses": ("ALTER ROLE jeex_app BYPASSRLS", "role jeex_app: LOGIN BYPASSRLS; should be LOGIN"),
    "a member of the owner": (
        "GRANT jeex_owner TO jeex_app",
        "membership jeex_app in jeex_owner: INHERIT, SET; should be missing",
    ),
    "a role without limits": (
        "ALTER ROLE jeex_app RESET statement_timeout",
        "role setting jeex_app statement_timeout: missing",
    ),
    "who may make tables": (
        "GRANT CREATE ON SCHEMA public TO jeex_admin",
        "grant SCHEMA public to jeex_admin: CREATE, USAGE",
    ),
    "who may connect": (
        "GRANT TEMPORARY ON DATABASE {0} TO PUBLIC",
        "grant DATABASE to PUBLIC: TEMPORARY; should be missing",
    ),
    "readiness blind": ("REVOKE SELECT ON alembic_version FROM jeex_app", "grant alembic_version to jeex_app: missing"),
    "a column's grant": (
        "GRANT UPDATE (slug) ON tenant TO jeex_app",
        "grant tenant.slug to jeex_app: UPDATE; should be missing",
    ),
    "a type": ("ALTER TABLE document ALTER version TYPE bigint", "column document.version: bigint; should be integer"),
    "a column more": (
        "ALTER TABLE document ADD more text DEFAULT 'x' NOT NULL",
        "column document.more: text; should be missing",
    ),
    "a lost column": (
        "ALTER TABLE app_user DROP username",
        "column app_user.username: missing; should be text",
    ),
}
_LINES = {
    "a predicate": "index ix_project_tenant_id_name: CREATE INDEX ix_project_tenant_id_name ON project USING btree "
    "(tenant_id, name, id) WHERE (deleted_at IS NOT NULL); should be CREATE INDEX",
    "a check": "constraint project.ck_project_description: CHECK ((length(description) <= 4001)); should be CHECK",
    "a policy's check": "policy document.own_tenant: FOR ALL TO jeex_admin, jeex_app USING",
    "not forced": "row security idempotent_request: ENABLE, NO FORCE; should be ENABLE, FORCE",
    "a column's default": "default document.status: 'published'::text; should be 'draft'::text",
    "one grant more": "grant tenant to jeex_app: SELECT, UPDATE; should be SELECT",
    "one table more": "table more: table; should be missing",
}


@pytest.fixture(scope="module")
def wanted(postgres: Postgres, live: str) -> Facts:
    """What the models say, made once."""
    return runner.inspect(postgres.url("owner", live), drift.modelled) | catalogue.SERVER


@pytest.mark.parametrize("what", [*CHANGES, *MORE])
def test_each_difference_is_found_and_mended(postgres: Postgres, live: str, wanted: Facts, what: str) -> None:
    def look() -> tuple[Difference, ...]:
        return drift.compare(runner.inspect(postgres.url("owner", live), drift.live), wanted, database=live)

    change, line = MORE[what] if what in MORE else (CHANGES[what][0], _LINES.get(what, ""))
    postgres.sql(change.format(live) if what in MORE else change, database=live)
    found = look()
    assert found
    assert any(one.line.startswith(line) for one in found), [one.line for one in found]
    assert all("\n" not in one.line for one in found)
    mend(postgres, live, found)
    mend(postgres, live, look())  # of a table that had another owner, grants were not to be seen
    assert [one.line for one in look()] == []


def test_a_missing_table_is_one_line(postgres: Postgres, database: str) -> None:
    postgres.sql("DROP TABLE document", database=database)
    assert [one.line for one in look(postgres, database)] == ["table document: missing; should be table"]


def test_an_index_that_was_left_invalid_is_found(postgres: Postgres, live: str) -> None:
    name = "ix_document_tenant_id_type"
    postgres.sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass", database=live)
    found = look(postgres, live)
    assert [one.name for one in found] == [name]
    assert "INVALID; should be" in found[0].line
    mend(postgres, live, found)
    assert look(postgres, live) == ()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_stays_of_a_comparison_that_is_ended(postgres: Postgres, live: str, how: signal.Signals) -> None:
    # A comparison is one statement after the other; this one has no end, so that it is always in the midst of them.
    code = (
        "import sys; from migrations import drift, runner;"
        "runner.inspect(sys.argv[1], lambda one: (one.begin(), drift.modelled(one), print('made', flush=True), "
        "[one.exec_driver_sql('SELECT pg_sleep(0.05)') for _ in iter(int, 1)]))"
    )
    argv = [sys.executable, "-c", code, postgres.url("owner", live)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"made\n"
        finally:
            process.send_signal(how)
        process.wait(10)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    until(lambda: postgres.sql(others, database=live) == "0")
    assert schemas(postgres, live) == "0"
    assert look(postgres, live) == ()
