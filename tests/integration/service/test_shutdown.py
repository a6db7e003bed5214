"""Being told to end: readiness first, requests under way finish, then a clean exit."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres


@pytest.fixture
def slow_api(postgres: Postgres, database: str, tmp_path: Path) -> Iterator[Service]:
    """An API whose status takes half a second, for its Vault never answers; it drains for a second."""
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        settings = {
            "DATABASE_URL": postgres.url("app", database),
            "VAULT_ADDR": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "API_PORT": str(free_port()),
            "DRAIN_SECONDS": "1",
        }
        one = Service("api", settings, tmp_path / "api.log")
        one.start()
        try:
            one.wait("/ready")
            yield one
        finally:
            one.stop()


def test_readiness_turns_first(slow_api: Service) -> None:
    assert slow_api.process is not None
    slow_api.process.send_signal(signal.SIGTERM)
    until(lambda: slow_api.get("/ready")[0] == 503, seconds=1)
    assert slow_api.get("/ready")[1]["missing"] == ["process"]
    assert slow_api.get("/health")[0] == 200  # still served
    assert slow_api.process.wait(5) == 0


def test_requests_under_way_finish(slow_api: Service) -> None:
    assert slow_api.process is not None
    slow_api.get("/api/v1/system/status")  # clients are loaded at the first
    answers: list[Any] = []

    def ask() -> None:
        time.sleep(0.8)  # into the drain; the port closes at 1 s, the answer comes after
        answers.append(slow_api.get("/api/v1/system/status")[0])

    slow_api.process.send_signal(signal.SIGTERM)
    asker = threading.Thread(target=ask)
    asker.start()
    asker.join()
    assert answers == [200]
    assert slow_api.process.wait(5) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_ends_within_a_second_when_idle(api: Service, how: signal.Signals) -> None:
    assert api.process is not None
    with socket.create_connection(("127.0.0.1", api.port)) as idle:  # a kept-alive connection holds nothing up
        idle.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        idle.recv(4096)
        started = time.monotonic()
        api.process.send_signal(how)
        assert api.process.wait(5) == 0
        assert time.monotonic() - started < 1
    assert "rror" not in api.log.read_text()


def test_a_taken_port_is_said_and_fails(api: Service, tmp_path: Path) -> None:
    second = Service("api", api.settings, tmp_path / "second.log")
    assert second.run() == 1
    assert any("address already in use" in one["event"] for one in second.lines())
