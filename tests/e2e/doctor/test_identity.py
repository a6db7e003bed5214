"""Whose are the servers that answer on the stack's ports? And does every service run?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import kill_leftovers, make_cli
from tests.e2e.doctor.conftest import Patient
from tests.integration.service.machine import free_port, until

pytestmark = pytest.mark.e2e

SERVICES = ("postgres", "redis", "vault", "api", "frontend")


@pytest.fixture
def impostor(healthy: Patient, tmp_path: Path) -> Iterator[Patient]:
    """Another stack, on the ports of the first, which is down meanwhile; with its passwords, as a copy has them."""
    healthy.cli.run("down")
    other = Patient(make_cli(tmp_path, "impostor"))
    other.cli.ports = dict(healthy.cli.ports)
    text = (healthy.cli.folder / ".env").read_text()
    lines = [line for line in text.splitlines(True) if not line.startswith(("JEEX_PROJECT=", "JEEX_INSTANCE="))]
    (other.cli.folder / ".env").write_text("".join(lines))
    try:
        other.cli.run("up")
        yield other
    finally:
        other.cli.run("down", "--delete-data", "--yes")
        kill_leftovers(other.cli)
        healthy.cli.run("up")


def test_every_server_of_another_stack_is_recognised(healthy: Patient, impostor: Patient) -> None:
    found = healthy.doctor()
    theirs = next(
        line.partition("=")[2]
        for line in (impostor.cli.folder / ".env").read_text().splitlines()
        if line.startswith("JEEX_INSTANCE=")
    )
    for service in SERVICES:
        one = found[f"identity-{service}"]
        assert one["level"] == "fail", one
        assert f"instance {theirs}" in one["summary"]
        assert str(impostor.cli.folder) in one["evidence"][0]
        assert "jeex ports" in one["fix"]
    assert found["port-taken"]["level"] == "fail"
    impostor.learn()  # for them all is well


def test_a_server_without_any_id(healthy: Patient) -> None:
    """What an older version of jeex has started."""
    cli = healthy.cli
    env = cli.folder / ".env"
    text = env.read_text()
    env.write_text("".join("JEEX_INSTANCE=\n" if one.startswith("JEEX_INSTANCE=") else one for one in text.splitlines(True)))
    cli.extra["JEEX_INSTANCE"] = ""
    found = healthy.doctor("--only", "identity")
    assert {one["level"] for one in found.values()} == {"skipped"}
    argv = [sys.executable, "-c", "import http.server, sys; http.server.test(port=int(sys.argv[1]), bind='127.0.0.1')"]
    del cli.extra["JEEX_INSTANCE"]
    env.write_text(text)
    os.kill(int((cli.folder / ".jeex" / "run" / "frontend.pid").read_text().split()[0]), signal.SIGKILL)
    until(lambda: cli.ports["FRONTEND"] not in cli.open_ports())
    with subprocess.Popen(
        [*argv, str(cli.ports["FRONTEND"])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cli.home
    ) as stranger:
        until(lambda: cli.ports["FRONTEND"] in cli.open_ports())
        one = healthy.doctor("--only", "identity")["identity-frontend"]
        assert one["level"] == "fail"
        assert "not this stack's Frontend" in one["summary"]
        assert f"pid {stranger.pid}" in one["evidence"][0]
        stranger.send_signal(signal.SIGKILL)
    cli.run("up")
    healthy.is_well("identity,services")


def test_servers_that_an_older_version_has_started(healthy: Patient) -> None:
    cli = healthy.cli
    cli.extra["JEEX_INSTANCE"] = ""
    cli.run("up")  # they are started again, for their settings have changed
    del cli.extra["JEEX_INSTANCE"]
    found = healthy.doctor("--only", "identity")
    assert {name: one["level"] for name, one in found.items()} == {f"identity-{name}": "warn" for name in SERVICES}
    assert {one["repair"] for one in found.values()} == {"jeex up"}
    assert "older version" in found["identity-postgres"]["summary"]
    healthy.fixes("identity")


def test_a_service_on_the_port_that_it_had_before(healthy: Patient) -> None:
    cli = healthy.cli
    before = cli.ports["FRONTEND"]
    cli.ports["FRONTEND"] = free_port()
    one = healthy.doctor("--only", "identity")["identity-frontend"]
    assert one["level"] == "unknown", one
    assert f"127.0.0.1:{cli.ports['FRONTEND']}" in one["summary"]
    assert "jeex up" in one["fix"]
    cli.run("up")  # as the finding says
    healthy.is_well("identity,services,ports")
    cli.ports["FRONTEND"] = before
    cli.run("up")


def test_a_service_that_crashed_and_one_that_was_stopped(healthy: Patient) -> None:
    record = healthy.cli.folder / ".jeex" / "run" / "frontend.pid"
    os.kill(int(record.read_text().split()[0]), signal.SIGKILL)
    until(lambda: healthy.cli.services()["frontend"]["status"] == "crashed")
    one = healthy.finds("services-running", "fail", "Frontend is crashed", "SIGKILL", "jeex up", also=("identity-frontend",))
    assert one["repair"] == "jeex up"
    healthy.fixes("services-running")
    pid = Path(record)
    text, ended = pid.read_text(), int(pid.read_text().split()[0])
    pid.unlink()
    os.kill(ended, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{ended}").exists())
    healthy.finds("services-running", "warn", "Frontend: stopped", also=("identity-frontend",))
    assert text
    healthy.fixes("services-running")
