"""The ids of a request in what PostgreSQL and Vault write down about it; and nothing else of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from jeex_cli import stack
from jeex_cli.project import bundled
from migrations import runner
from service.adapters.database import Database
from service.adapters.vault_system import VaultSystem
from service.core import correlation
from service.core.settings import Secret
from service.services import vault_setup
from tests.integration.service.client import Client
from tests.integration.service.conftest import make_tenant, run
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def logging_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server that logs as compose.yaml says, and every statement."""
    options = stack.load(bundled("compose.yaml"), {"JEEX_LOG_SLOW_STATEMENTS": "0"}).service("postgres").command[1:]
    server = Postgres(tmp_path / "postgres", options=options)
    server.create()
    server.start()
    try:
        assert server.bootstrap().returncode == 0
        runner.upgrade(server.url("owner"))
        yield server
    finally:
        server.stop()


@pytest.fixture
def api(logging_postgres: Postgres, tmp_path: Path) -> Iterator[Service]:
    """An API that has its logins and its signatures from a vault."""
    vault = OpenBao(tmp_path / "vault", logging_postgres)
    vault.prepare()
    vault.start()
    try:
        vault.arrange()
        settings = {
            **vault.settings(),
            "DATABASE_URL": logging_postgres.place("jeex"),
            "API_PORT": str(free_port()),
            "JWT_ANNOUNCED": "0",
        }
        one = Service("api", settings, tmp_path / "api.log")
        one.start()
        try:
            one.wait("/ready")
            yield one
        finally:
            one.stop()
    finally:
        vault.stop()


def test_a_request_is_found_in_the_logs_of_postgresql_and_vault(
    api: Service, logging_postgres: Postgres, tmp_path: Path
) -> None:
    made = make_tenant(logging_postgres.url("admin"))
    owner = Client(api, made.key.reveal(), {"traceparent": TRACEPARENT, "X-Request-ID": "one.request"})
    assert owner.post("/projects", {"name": "Apollo", "slug": "the-slug-of-apollo"}).status == 201
    assert owner.post("/projects", {"name": "Apollo", "slug": "the-slug-of-apollo"}).outcome[0] == 409
    assert owner.post("/tokens").status == 503  # there is no key: Vault was asked all the same

    # PostgreSQL: each line has the trace, the first of a transaction the request as well.
    lines = logging_postgres.log.read_text().splitlines()
    ours = [line for line in lines if f"[jeex-api {TRACE}]" in line]
    assert any("INSERT INTO project" in line and "duration:" in line for line in ours)
    assert any(f"request_id='one.request',traceparent='00-{TRACE}-" in line and "BEGIN" in line for line in lines)
    # A statement that fails says which one it was, and nothing of what was in it.
    assert any(" 23505 " in line and "ERROR:" in line for line in ours)
    assert any("STATEMENT:" in line and "INSERT INTO project" in line for line in ours)
    assert "the-slug-of-apollo" not in logging_postgres.log.read_text()
    # Vault makes logins there, with passwords.
    assert any("jeex_app" in line and "@jeex" in line for line in lines)
    assert "PASSWORD" not in logging_postgres.log.read_text()
    # The name is of the transaction: who comes next on that connection has his own.
    names = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE 'jeex-api%'"
    assert logging_postgres.sql(names) == "jeex-api"

    audit = [json.loads(line) for line in (tmp_path / "vault" / "audit.log").read_text().splitlines()]
    asked = [one["request"]["headers"] for one in audit if one["request"]["path"].startswith("transit/")]
    assert {one["x-request-id"][0] for one in asked} == {"one.request"}
    assert all(TRACE in one["traceparent"][0] for one in asked)


def test_a_vault_of_an_earlier_version_learns_to_show_the_ids(new_openbao: OpenBao) -> None:
    setup = new_openbao.as_setup()
    system = VaultSystem(setup)
    text = system.policy(vault_setup.SETUP)
    assert text is not None
    system.write_policy(vault_setup.SETUP, "\n".join(line for line in text.splitlines() if "request-headers" not in line))
    assert "audit log's headers" in vault_setup.ensure(system)
    assert system.shown_headers() == {"x-request-id", "x-job-id", "traceparent"}
    assert "audit log's headers" not in vault_setup.ensure(system)
    setup.close()


@pytest.mark.parametrize(
    "evil", ["x'; DROP TABLE tenant; --", "x*/ DROP TABLE tenant; /*", "x\n2026-11-24 forged", "\u2028", "x" * 200]
)
def test_an_id_of_another_form_reaches_nobody(postgres: Postgres, database: str, evil: str) -> None:
    async def name() -> str:
        with structlog.contextvars.bound_contextvars(request_id=evil, trace_id=evil, span_id=evil, job_id=evil):
            assert correlation.headers() == {}
            async with Database(Secret(postgres.url("app", database))) as one, one.direct() as driver:
                return str(await driver.fetchval("SELECT current_setting('application_name')"))

    assert run(name()) == "jeex-api"


def test_a_job_is_named_too() -> None:
    job = uuid.uuid4()
    with structlog.contextvars.bound_contextvars(job_id=job, request_id="r-1", trace_id=TRACE):
        comment, name = correlation.begin("jeex-worker")
        assert comment.startswith(f"/*job_id='{job}',request_id='r-1',traceparent='00-{TRACE}-")
        assert name == f"; SET LOCAL application_name = 'jeex-worker {TRACE}'"
        assert correlation.headers()["X-Job-Id"] == str(job)
    assert correlation.begin("jeex-worker") == ("", "")
