"""The report of every component, and an API whose neighbours come and go."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrations import runner
from tests.integration.service.conftest import make_tenant
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres, Valkey


def components(api: Service) -> dict[str, dict[str, Any]]:
    status, body, _ = api.get("/api/v1/system/status")
    assert status == 200
    return {one["name"]: one for one in body["components"]}


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


def test_every_component_with_version_and_latency(
    postgres: Postgres, database: str, valkey: Valkey, openbao: OpenBao, tmp_path: Path
) -> None:
    api = Service(
        "api",
        {
            "DATABASE_URL": postgres.url("app", database),
            "REDIS_URL": valkey.url,
            "VAULT_ADDR": openbao.address,
            "API_PORT": str(free_port()),
        },
        tmp_path / "api.log",
    )
    api.start()
    try:
        api.wait("/ready")
        found = components(api)
        assert api.get("/api/v1/system/status")[1]["status"] == "ok"
        assert list(found) == ["api", "postgresql", "redis", "vault"]
        assert all(one["status"] == "up" and one["latency_ms"] < 1000 for one in found.values())
        assert found["postgresql"]["version"].startswith("18.")
        assert found["redis"]["version"].startswith("Valkey ")
        assert found["vault"]["version"].startswith("2.")
        valkey.stop()
        openbao.stop()
        found = components(api)
        assert (found["redis"]["status"], found["vault"]["status"]) == ("down", "down")
        assert found["redis"]["detail"] == "Redis cannot be reached"
        assert valkey.password not in str(found)
        assert api.get("/api/v1/system/status")[1]["status"] == "degraded"
        assert api.get("/ready")[0] == 200  # requests still succeed
        valkey.start()
        openbao.start()
        found = components(api)
        assert (found["redis"]["status"], found["vault"]["status"]) == ("up", "up")
    finally:
        assert api.stop() == 0


def test_silent_neighbours_hold_nothing_up(postgres: Postgres, database: str, silent: int, tmp_path: Path) -> None:
    api = Service(
        "api",
        {
            "DATABASE_URL": postgres.url("app", database),
            "REDIS_URL": f"redis://127.0.0.1:{silent}/0",
            "VAULT_ADDR": f"http://127.0.0.1:{silent}",
            "API_PORT": str(free_port()),
        },
        tmp_path / "api.log",
    )
    api.start()
    try:
        api.wait("/ready")
        components(api)
        started = time.monotonic()
        found = components(api)
        assert time.monotonic() - started < 2
        assert {name: one["status"] for name, one in found.items()} == {
            "api": "up",
            "postgresql": "up",
            "redis": "down",
            "vault": "down",
        }
    finally:
        assert api.stop() == 0


def test_comes_back_with_the_database(own_postgres: Postgres, tmp_path: Path) -> None:
    runner.upgrade(own_postgres.url("owner"))
    key = make_tenant(own_postgres.url("admin")).key.reveal()
    settings = {"DATABASE_URL": own_postgres.url("app"), "API_PORT": str(free_port()), "DATABASE_TIMEOUT": "1"}
    own_postgres.stop()
    api = Service("api", settings, tmp_path / "api.log")
    api.start()
    try:
        api.wait("/health")  # it starts without its database
        assert api.get("/ready")[1]["missing"] == ["postgresql"]
        status, body, headers = api.get("/api/v1/whoami", Authorization=f"Bearer {key}")
        assert (status, body["code"], headers["retry-after"]) == (503, "DATABASE_UNAVAILABLE", "1")
        assert api.get("/api/v1/system/status")[1]["status"] == "down"
        for how in (signal.SIGKILL, signal.SIGINT):
            own_postgres.start()
            api.wait("/ready")
            own_postgres.stop(how)
            assert api.get("/ready")[0] == 503
        own_postgres.start()
        until(lambda: api.get("/ready")[0] == 200, seconds=5)
        # Not one request fails for the sake of a connection that the old server had.
        for _ in range(20):
            assert api.get("/api/v1/whoami", Authorization=f"Bearer {key}")[0] == 200
        # Restarted between two requests: the dead connections are noticed before they are used.
        own_postgres.stop()
        own_postgres.start()
        assert api.get("/api/v1/whoami", Authorization=f"Bearer {key}")[0] == 200
    finally:
        assert api.stop() == 0
    assert "password" not in api.log.read_text()


def test_a_frozen_database_is_a_503_not_a_hang(own_postgres: Postgres, tmp_path: Path) -> None:
    runner.upgrade(own_postgres.url("owner"))
    settings = {"DATABASE_URL": own_postgres.url("app"), "API_PORT": str(free_port()), "DATABASE_TIMEOUT": "0.5"}
    api = Service("api", settings, tmp_path / "api.log")
    api.start()
    assert own_postgres.process is not None
    try:
        api.wait("/health")
        own_postgres.process.send_signal(signal.SIGSTOP)  # accepts connections (the kernel does) and answers nobody
        status, body, _ = api.get("/ready")
        assert (status, body["missing"]) == (503, ["postgresql"])
    finally:
        own_postgres.process.send_signal(signal.SIGCONT)
        assert api.stop() == 0
