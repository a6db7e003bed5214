"""The logical copy of PostgreSQL between two real servers: what arrives, what is noticed, who is kept out meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from jeex_cli.errors import JeexError, NotReady, TimedOut
from jeex_cli.events import Step, silent
from jeex_cli.ops import carry, carry_connection, carry_database
from jeex_cli.ops.carry import Stores
from migrations import runner
from tests.integration.carry.sides import MINUTE, Side, carried, migrated, save
from tests.integration.service.machine import until
from tests.integration.service.servers import PG_BIN, SUPERUSER


def schema(side: Side, folder: Path, database: str) -> str:
    """Everything but the rows, without parentheses: PostgreSQL leaves some out of what it reads back."""
    made = subprocess.run(
        [str(PG_BIN / "pg_dump"), "--schema-only", "--restrict-key=same", "--no-password", database],
        env={"PGHOST": "127.0.0.1", "PGPORT": str(side.postgres.port), "PGUSER": "postgres", "PGPASSWORD": SUPERUSER},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub("[()]", "", made.stdout)


def test_the_database_arrives_with_owners_rights_and_policies(source: Side, target: Side, folder: Path) -> None:
    tenant = migrated(source)
    saved = carried(source, target, folder)
    for database in carry_database.DATABASES:
        assert schema(target, folder, database) == schema(source, folder, database)
    query = "SELECT id, slug, name FROM tenant"
    assert target.postgres.sql(query) == source.postgres.sql(query) != ""
    # Row security holds on the other side: without a tenant nothing is seen, with it its rows are.
    unbound = target.postgres.psql("-c", "SELECT count(*) FROM app_user", user="jeex_app", database="jeex")
    assert unbound.returncode != 0
    bound = f"SET app.tenant_id = '{tenant.tenant.id}'; SELECT count(*) FROM app_user"  # noqa: S608 - an id
    assert target.postgres.sql(bound, user="jeex_app") == "1"
    # Nobody but those who could may connect.
    grants = "SELECT datname, datacl FROM pg_database WHERE datname LIKE 'jeex%' ORDER BY 1"
    assert target.postgres.sql(grants) == source.postgres.sql(grants)
    assert runner.status(target.postgres.url("owner")).pending == ()
    assert saved.facts["jeex: public.tenant"][0] == 1
    assert saved.facts["jeex: public.document"] == (0, "0")  # a table without rows
    assert saved.facts["jeex_vault: public.openbao_kv_store"][0] == 2
    assert saved.rows == sum(count for count, _ in saved.facts.values()) > 4


def test_kinds_of_values_and_other_schemas(source: Side, target: Side, folder: Path) -> None:
    migrated(source)
    # Servers that are set up otherwise write the same row in another way.
    target.postgres.sql("ALTER DATABASE jeex SET datestyle = 'German'; ALTER DATABASE jeex SET timezone = 'Asia/Tokyo'")
    target.postgres.sql("ALTER DATABASE jeex SET bytea_output = 'escape'")
    source.postgres.sql(
        """
        CREATE SCHEMA "Odd one";
        CREATE TABLE "Odd one".strange (
          id bigserial PRIMARY KEY, at timestamptz, raw bytea, f double precision, j jsonb, a int[],
          twice bigint GENERATED ALWAYS AS (id * 2) STORED, the_row text);
        INSERT INTO "Odd one".strange (at, raw, f, j, a, the_row) VALUES
          (now(), '\\x00ff', 'NaN', '{"b": 1, "a": null}', '{1,NULL}', 'x'), (NULL, NULL, 0.1, NULL, NULL, NULL),
          (now(), '', '-Infinity', '[]', '{}', E'\\n\\t''"');
        CREATE TABLE parted (n int, t text) PARTITION BY RANGE (n);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
        INSERT INTO parted VALUES (1, 'x'), (1, 'x');
        CREATE VIEW seen AS SELECT * FROM parted;
        SELECT setval('"Odd one".strange_id_seq', 77);
        """
    )
    saved = carried(source, target, folder)
    assert saved.facts['jeex: "Odd one".strange'][0] == 3
    assert saved.facts["jeex: public.parted_1"][0] == 2
    assert saved.facts['jeex: "Odd one".strange_id_seq'] == (1, "77 true")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("UPDATE tenant SET name = 'another'", "jeex: public.tenant has other values than before"),
        ("DELETE FROM api_key", "jeex: public.api_key had 1 rows and has 0"),
        ("INSERT INTO parted SELECT * FROM parted LIMIT 1", "jeex: public.parted had 2 rows and has 3"),
        ("UPDATE parted SET t = 'y' WHERE ctid = (SELECT min(ctid) FROM parted)", "jeex: public.parted has other values"),
        ("DROP TABLE parted", "jeex: public.parted is missing"),
        ("CREATE TABLE more ()", "jeex: public.more was not there before"),
        ("SELECT nextval('numbers')", "jeex: public.numbers has other values"),
    ],
)
def test_every_difference_is_noticed_and_named(source: Side, target: Side, folder: Path, wrong: str, told: str) -> None:
    migrated(source)
    source.postgres.sql("CREATE SEQUENCE numbers; CREATE TABLE parted AS SELECT 1 AS n, 'x' AS t FROM generate_series(1, 2)")
    saved = carried(source, target, folder)
    target.postgres.sql(wrong)
    with pytest.raises(JeexError) as refused:
        carry.compare(target.stores, folder, saved.facts, silent)
    assert refused.value.code == "CARRY_MISMATCH"
    assert refused.value.detail.startswith(told)


def test_a_row_that_was_swapped_for_the_sum_of_two_is_noticed(source: Side, target: Side, folder: Path) -> None:
    source.postgres.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 4) AS n")
    saved = carried(source, target, folder)
    target.postgres.sql("UPDATE t SET n = CASE n WHEN 1 THEN 2 WHEN 4 THEN 3 ELSE n END")
    with pytest.raises(JeexError, match="other values"):
        carry.compare(target.stores, folder, saved.facts, silent)


def test_whoever_writes_is_refused_or_waits(
    source: Side, target: Side, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated(source)
    monkeypatch.setitem(carry_connection._AS_TEXT, "lock_timeout", "300ms")
    writer = subprocess.Popen(
        [str(PG_BIN / "psql"), "-XqAt", source.postgres.url("postgres")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None and writer.stdout is not None
    writer.stdin.write("BEGIN; UPDATE tenant SET name = 'written' RETURNING name;\n")
    writer.stdin.flush()
    assert writer.stdout.readline().strip() == "written"
    with pytest.raises(JeexError) as refused:
        save(source, folder)
    assert refused.value.code == "DATABASE_IN_USE"
    writer.communicate("COMMIT;\n")

    # While it is held, reading goes on and a writer waits; it is too late for the copy, and knows that it has not written.
    late: list[subprocess.CompletedProcess[str]] = []
    write = threading.Thread(
        target=lambda: late.append(source.postgres.psql("-c", "UPDATE tenant SET name = 'late'", database="jeex"))
    )
    with carry.saved(source.stores, folder, silent, timeout=MINUTE) as saved:
        assert source.postgres.sql("SELECT name FROM tenant") == "written"
        write.start()
        until(lambda: source.postgres.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
        source.postgres.stop()
        write.join(10)
    source.postgres.start()
    assert late[0].returncode != 0
    carry.load(target.stores, folder, silent, timeout=MINUTE)
    carry.compare(target.stores, folder, saved.facts, silent)
    assert source.postgres.sql("SELECT name FROM tenant") == target.postgres.sql("SELECT name FROM tenant") == "written"


def test_a_restore_that_fails_leaves_an_empty_database_and_says_why(source: Side, target: Side, folder: Path) -> None:
    migrated(source)
    source.postgres.sql("CREATE ROLE guest; CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO guest", database="jeex")
    try:
        save(source, folder)
        with pytest.raises(JeexError) as failed:
            carry.load(target.stores, folder, silent, timeout=MINUTE)
    finally:
        source.postgres.sql("DROP TABLE theirs; DROP ROLE guest")
    assert failed.value.code == "CARRY_FAILED"
    assert 'role "guest" does not exist' in failed.value.detail
    assert carry_database.is_fresh(target.stores.postgres)


def test_time_programs_and_passwords_are_errors_with_names(source: Side, folder: Path, tmp_path: Path) -> None:
    wrong = Stores(carry_database.Server(source.postgres.port, "wrong", PG_BIN), source.stores.redis)
    with pytest.raises(JeexError, match="could not be read"), carry.saved(wrong, folder, silent, timeout=MINUTE):
        pass
    with pytest.raises(NotReady) as missing:
        carry_database.Server(1, "", tmp_path).check()
    assert missing.value.code == "PROGRAM_MISSING"
    assert "password" not in repr(source.stores)

    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "pg_dump").write_text("#!/bin/sh\nexec sleep 30\n")
    (slow / "pg_dump").chmod(0o755)
    steps: list[Step] = []
    server = carry_database.Server(source.postgres.port, SUPERUSER, slow, {"PATH": "/usr/bin:/bin"})
    late = Stores(server, source.stores.redis)
    with pytest.raises(TimedOut), carry.saved(late, folder, steps.append, timeout=0.1):
        pass
    assert [(one.id, one.status) for one in steps] == [("copy-database", "running"), ("copy-database", "failed")]


# The program is killed, but nobody asks how it ended: subprocess.run leaves that out when it is interrupted.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_ends_a_program_that_is_waited_for(source: Side, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pg_dump").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "pg_dump").chmod(0o755)
    server = carry_database.Server(source.postgres.port, SUPERUSER, tmp_path, {"PATH": "/usr/bin:/bin"})
    pressed = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    pressed.start()
    began = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        carry.saved(Stores(server, source.stores.redis), folder, silent, timeout=MINUTE),
    ):
        pass
    assert time.monotonic() - began < 5
    assert source.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jeex-carry'") == "0"


def test_what_is_written_is_for_this_user_alone(source: Side, folder: Path) -> None:
    migrated(source)
    source.redis.set("k", "v")
    save(source, folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(("jeex.dump", "jeex_vault.dump", "redis.commands", "redis.facts"), 0o600)


def test_logins_that_nobody_gave_back_are_counted_and_not_carried(source: Side, target: Side, folder: Path) -> None:
    migrated(source)
    source.postgres.sql('CREATE ROLE "v-approle-app-1" LOGIN IN ROLE jeex_app', database="postgres")
    try:
        assert carried(source, target, folder).old_logins == ["v-approle-app-1"]
    finally:
        source.postgres.sql('DROP ROLE "v-approle-app-1"', database="postgres")
    assert target.postgres.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%'") == "0"
