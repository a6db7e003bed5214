"""Migrations: up, down and up again, once for all who try. Over rows is test_stairway.py, against models test_parity.py."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from migrations import revisions, runner
from service.core.errors import DatabaseUnavailable, MigrationFailed
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import ROOT, Postgres

ALL = [one.id for one in revisions.history()]


def test_twice_is_the_same_as_once(postgres: Postgres, empty_database: str) -> None:
    url = postgres.url("owner", empty_database)
    told: list[str] = []
    first = runner.upgrade(url, on_revision=lambda one: told.append(one.id))
    assert (first.before, first.after, [one.id for one in first.applied]) == (None, ALL[-1], ALL)
    assert told == ALL
    assert runner.upgrade(url) == runner.UpgradeResult(ALL[-1], ALL[-1], ())


def test_status_says_what_is_pending(postgres: Postgres, empty_database: str) -> None:
    url = postgres.url("owner", empty_database)
    assert [one.id for one in runner.status(url).pending] == ALL
    runner.upgrade(url, ALL[0])
    found = runner.status(url)
    assert (found.current, found.head, [one.id for one in found.pending]) == (ALL[0], ALL[-1], ALL[1:])


def test_many_at_once_migrate_once(postgres: Postgres, empty_database: str, tmp_path: Path) -> None:
    settings = {"DATABASE_OWNER_URL": postgres.url("owner", empty_database)}
    processes = [Service("migrate", settings, tmp_path / f"{number}.log") for number in range(3)]
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda one: one.run(), processes))
    assert codes == [0, 0, 0], [one.log.read_text() for one in processes]
    applied = [line["revision"] for one in processes for line in one.lines() if line["event"] == "migration.applied"]
    assert applied == ALL


def test_waits_for_another_only_so_long(postgres: Postgres, empty_database: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, postgres.url("owner", empty_database)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(MigrationFailed) as caught:
            runner.upgrade(postgres.url("owner", empty_database), wait=0.3)
        assert caught.value.code == "MIGRATION_LOCKED"
    finally:
        holder.kill()
        holder.communicate()
    # The lock went with whoever held it.
    assert runner.upgrade(postgres.url("owner", empty_database), wait=5).after == ALL[-1]


HOLD = """
import asyncio, sys, asyncpg
from migrations import lock
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    async with lock.only_one(connection, wait=5):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_alembic_reads_the_same_history(database: str) -> None:
    script = ScriptDirectory.from_config(Config(ROOT / "migrations" / "alembic.ini"))
    theirs = [(one.revision, one.doc, one.down_revision) for one in script.walk_revisions()]
    assert theirs[::-1] == [(one.id, one.message, one.parent) for one in runner.history()]
    assert all(one.date for one in runner.history())


def test_being_at_head_loads_neither_alembic_nor_sqlalchemy(postgres: Postgres, database: str) -> None:
    code = (
        "import sys; from migrations import runner;"
        "runner.upgrade(sys.argv[1]); runner.status(sys.argv[1]); runner.history();"
        "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, postgres.url("owner", database)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_a_database_of_a_newer_version_is_left_alone(postgres: Postgres, database: str) -> None:
    postgres.sql("UPDATE alembic_version SET version_num = '9999'", database=database)
    url = postgres.url("owner", database)
    with pytest.raises(MigrationFailed) as caught:
        runner.upgrade(url)
    assert caught.value.code == "REVISION_UNKNOWN"
    assert "9999" in caught.value.message
    assert runner.status(url).current == "9999"


def test_errors_say_what_is_wrong(postgres: Postgres, empty_database: str) -> None:
    url = postgres.url("owner", empty_database)
    with pytest.raises(MigrationFailed, match="no revision 'nope'"):
        runner.upgrade(url, "nope")
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        runner.upgrade(f"postgresql://jeex_owner:x@127.0.0.1:{free_port()}/jeex")
    with pytest.raises(DatabaseUnavailable) as caught:
        runner.upgrade(url.replace("owner-password", "wrong-password"))
    assert caught.value.code == "DATABASE_REFUSED"
    assert "wrong-password" not in caught.value.message


def test_a_statement_that_postgresql_refuses_changes_nothing(postgres: Postgres, empty_database: str) -> None:
    postgres.sql("CREATE TABLE api_key (x int)", database=empty_database)  # in the way, halfway through the revision
    with pytest.raises(MigrationFailed, match="api_key"):
        runner.upgrade(postgres.url("owner", empty_database))
    assert postgres.sql("SELECT to_regclass('tenant') IS NULL", database=empty_database) == "t"
    assert runner.status(postgres.url("owner", empty_database)).current is None


def test_the_fallback_for_postgresql_16_makes_uuids_of_version_7(postgres: Postgres, empty_database: str) -> None:
    """The function of the first revision, made on a newer server under the name it has on an older one."""
    text = (ROOT / "migrations" / "versions" / "0001_tenants.py").read_text()
    body = text.split("$inner$")[1]
    postgres.sql(
        f"CREATE FUNCTION public.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $x${body}$x$",
        database=empty_database,
    )
    assert (
        postgres.sql(
            "SELECT bool_and(uuid_extract_version(u) = 7), "
            "bool_and(abs(extract(epoch FROM uuid_extract_timestamp(u) - now())) < 60), count(DISTINCT u) "
            "FROM (SELECT public.uuidv7() AS u FROM generate_series(1, 1000)) AS made",
            database=empty_database,
        )
        == "t|t|1000"
    )
