"""What the worker's healthcheck looks at."""

from __future__ import annotations

from pathlib import Path

from tests.integration.service.machine import until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao


def worker(openbao: OpenBao, log: Path, heartbeat: Path) -> Service:
    return Service("worker", {"VAULT_POLL": "0.1", "HEARTBEAT_FILE": str(heartbeat), **openbao.settings("jeex-worker")}, log)


def test_the_worker_says_that_it_works_and_goes_on_while_vault_is_away(openbao: OpenBao, tmp_path: Path) -> None:
    file = tmp_path / "made" / "when" / "missing"
    one = worker(openbao, tmp_path / "worker.log", file)
    one.start()
    try:
        until(file.exists)
        assert file.stat().st_mode & 0o777 == 0o600
        openbao.stop()
        until(lambda: "VAULT_UNREACHABLE" in one.log.read_text())
        before = file.stat().st_mtime_ns
        until(lambda: file.stat().st_mtime_ns > before)
    finally:
        assert one.stop() == 0


def test_without_a_place_for_that_it_works_on(openbao: OpenBao, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    one = worker(openbao, tmp_path / "worker.log", tmp_path / "a-file" / "alive")
    one.start()
    try:
        until(lambda: one.log.exists() and one.log.read_text().count("worker.heartbeat") > 1)
    finally:
        assert one.stop() == 0
