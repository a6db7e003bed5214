"""`jeex db` against a PostgreSQL of its own: schema and data changed, taken back, drifted and mended, without fear."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.db.conftest import ALL, HEAD, current, failed, sql
from tests.e2e.test_tenant_keys import answered

# Some of these run a dozen commands, one after the other.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

OF_THE_FIRST = {"alembic_version", "api_key", "app_user", "tenant"}  # the tables that 0001 makes


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
