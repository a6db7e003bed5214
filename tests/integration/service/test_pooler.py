"""Through a real PgBouncer in transaction mode: one connection of the server after another serves many of ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select

from service.adapters.database import Database, driver_of
from service.core.settings import Secret
from service.models import Document
from tests.integration.service.conftest import run
from tests.integration.service.isolation import play
from tests.integration.service.isolation_checks import reset, unbound_raises
from tests.integration.service.isolation_run import Setup
from tests.integration.service.isolation_ways import MODELS
from tests.integration.service.machine import answers, as_unprivileged, free_port, stop, until
from tests.integration.service.servers import PASSWORDS, Postgres

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
# Where CI runs, it is there (.ci/run installs it): a test that is left out there would be a promise that nobody keeps.
pytestmark = pytest.mark.skipif(
    PROGRAM is None and os.environ.get("CI") != "true", reason="the program pgbouncer is not installed"
)


@dataclass
class Pooler:
    """PgBouncer in front of one database, with so many connections to it."""

    folder: Path
    postgres: Postgres
    database: str
    connections: int
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM is not None, "CI needs pgbouncer: see .ci/run"
        self.folder.mkdir()
        (self.folder / "users").write_text(f'"jeex_app" "{PASSWORDS["app"]}"\n')
        (self.folder / "ini").write_text(
            f"""[databases]
{self.database} = host=127.0.0.1 port={self.postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = {self.connections}
max_client_conn = 50
"""
        )
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*as_unprivileged(), PROGRAM, str(self.folder / "ini")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._ready)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return answers(self.port)

    @property
    def url(self) -> str:
        return f"postgresql://jeex_app:{PASSWORDS['app']}@127.0.0.1:{self.port}/{self.database}"


@pytest.fixture(params=[1, 2], ids=["one connection", "two connections"])
def pooler(postgres: Postgres, database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pooler]:
    one = Pooler(tmp_path / "pgbouncer", postgres, database, request.param)
    try:
        one.start()
        yield one
    finally:
        stop(one.process)


def test_tenants_never_meet(pooler: Pooler, postgres: Postgres, database: str) -> None:
    """As many transactions are open as there are connections: another would wait for one of them to end."""
    control = postgres.url("postgres", database)
    play(
        Setup(pooler.url, control, pool_size=3, most_open=pooler.connections, pooler="transaction"),
        examples=5,
        steps=20,
    )


def test_many_at_once_share_what_there_is(pooler: Pooler, postgres: Postgres, database: str) -> None:
    """Every one of many callers finds its own rows, whoever had that connection before, and nobody's without a tenant."""

    async def one(pooled: Database, tenant: uuid.UUID, number: int) -> None:
        if number % 2:
            async with pooled.direct(tenant, pages=number % 4 == 1) as driver:
                found = [
                    row["tenant_id"] for row in await driver.fetch("SELECT tenant_id FROM document WHERE title <> $1", "")
                ]
        else:
            async with pooled.transaction(tenant) as session:
                found = list(await session.scalars(select(Document.tenant_id)))
                assert await (await driver_of(session)).fetchval("SELECT count(*) FROM document") == 6
        assert found == [tenant] * 6

    async def work() -> None:
        control = await asyncpg.connect(postgres.url("postgres", database))
        try:
            world = await reset(control)
            async with Database(Secret(pooler.url), pool_size=12, timeout=20, pooler="transaction") as pooled:
                tenants = list(world) * 20
                await asyncio.gather(*(one(pooled, tenant, number) for number, tenant in enumerate(tenants)))
                for table in MODELS:
                    await unbound_raises(pooled, table)
            servers = await control.fetch(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'jeex_app' AND datname = current_database()"
            )
            assert len(servers) <= pooler.connections
        finally:
            await control.close()

    run(work())


def test_limits_are_those_of_the_transaction(pooler: Pooler) -> None:
    """Statements are limited in time, texts have their times in UTC; who comes next inherits nothing."""

    async def work() -> None:
        pooled = Database(Secret(pooler.url), statement_timeout=7, pooler="transaction")
        async with pooled, pooled.direct(uuid.uuid4(), pages=True) as driver:
            assert await driver.fetchval("SHOW statement_timeout") == "7s"
            assert await driver.fetchval("SHOW lock_timeout") == "7s"
            assert await driver.fetchval("SHOW timezone") == "UTC"
            assert await driver.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
        other = await asyncpg.connect(pooler.url, statement_cache_size=0)
        try:
            assert await other.fetchval("SHOW statement_timeout") != "7s"
            assert await other.fetchval("SHOW plan_cache_mode") == "auto"
            assert await other.fetchval("SELECT current_setting('app.tenant_id', true)") in (None, "")
        finally:
            await other.close()

    run(work())
