"""Faults of ports, and of the block that a checkout owns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jeex_cli import checkouts
from tests.e2e.conftest import JEEX
from tests.e2e.doctor.conftest import Patient
from tests.e2e.test_ports import ANYWHERE, held

pytestmark = pytest.mark.e2e


def test_a_taken_port(stopped: Patient) -> None:
    state = stopped.cli.folder / ".jeex" / "state.json"
    before = json.loads(state.read_text())
    port = stopped.cli.ports["POSTGRES"]
    with held(port):
        says = (f"port {port} is held by pid {os.getpid()}", "PostgreSQL needs it", "jeex up")
        one = stopped.finds("port-taken", "fail", *says, also=("identity-postgres",))
        assert "postgres" in one["repair"]
        stopped.fixes("port-taken")  # with the port still held
    moved = json.loads(state.read_text()).pop("moved")
    assert list(moved) == ["JEEX_POSTGRES_PORT"]
    assert moved["JEEX_POSTGRES_PORT"][0] == str(port)
    stopped.cli.run("ports", "reset")
    assert json.loads(state.read_text()) == before


def test_several_taken_ports_are_one_finding(stopped: Patient) -> None:
    with held(stopped.cli.ports["API"]), held(stopped.cli.ports["VAULT"], ANYWHERE):
        says = ("2 ports", str(stopped.cli.ports["API"]), str(stopped.cli.ports["VAULT"]))
        stopped.finds("port-taken", "fail", *says, also=("identity-api", "identity-vault"))
    stopped.is_well()


def test_another_server_over_ipv6(healthy: Patient) -> None:
    port = healthy.cli.ports["API"]
    with held(port, "::1"):
        healthy.finds("port-ipv6", "warn", f"[::1]:{port}", f"pid {os.getpid()}", "127.0.0.1")
    healthy.is_well()


def test_a_port_below_those_that_everybody_may_have(stopped: Patient) -> None:
    cli = stopped.cli
    port, program = cli.ports["API"], cli.program
    cli.ports["API"] = 811
    if os.geteuid() == 0:  # without this capability root is as anybody here
        cli.program = ("setpriv", "--bounding-set=-net_bind_service", str(JEEX))
    found = stopped.finds("port-privileged", "fail", "API is to have port 811", "below 1024 only root")
    error = cli.json("up", code=3)
    assert (error["code"], error["message"]) == ("PORT_PRIVILEGED", found["summary"])
    assert cli.processes() == []
    cli.ports["API"], cli.program = port, program
    stopped.is_well()


def test_a_port_that_outgoing_connections_get(stopped: Patient) -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    stopped.cli.ports["REDIS"], before = (first + last) // 2, stopped.cli.ports["REDIS"]
    stopped.finds("port-ephemeral", "warn", str(stopped.cli.ports["REDIS"]), "outgoing", "ip_local_reserved_ports")
    stopped.cli.ports["REDIS"] = before
    stopped.is_well()


def test_a_server_that_the_network_can_reach(healthy: Patient) -> None:
    # What a compose.yaml with 0.0.0.0, or a server started by hand with other arguments, comes to.
    cli = healthy.cli
    code = (
        "import socket, sys; s = socket.create_server(('0.0.0.0', int(sys.argv[1]))); print(1, flush=True); sys.stdin.read()"
    )
    cli.run("down")
    argv = [sys.executable, "-c", code, str(cli.ports["FRONTEND"])]
    folder = cli.folder / ".jeex" / "data"
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder / "redis") as server:
        assert server.stdout is not None
        server.stdout.readline()
        found = healthy.doctor("--only", "ports")["port-exposed"]
        assert found["level"] == "fail", found
        assert f"Frontend listens on 0.0.0.0:{cli.ports['FRONTEND']}" in found["summary"]
        server.communicate()
    cli.run("up")
    healthy.is_well()


@contextmanager
def crowded(block: int, count: int) -> Iterator[int]:
    """Have that many ports of a block held; how many there are."""
    with ExitStack() as stack:
        got = 0
        for port in range(block, block + checkouts.SIZE):
            try:
                stack.enter_context(held(port))
                got += 1
            except OSError:
                got += 1  # somebody else has it: as good
            if got == count:
                break
        yield got


def test_a_block_with_no_room(stopped: Patient) -> None:
    # A block that no other test's project has: it would be without room, too.
    state = stopped.cli.folder / ".jeex" / "state.json"
    before = state.read_text()
    state.write_text(json.dumps({**json.loads(before), "block": 32_600}))
    with crowded(32_600, checkouts.SIZE - 3):
        stopped.finds("port-block", "warn", "of 32600-32650 are free", "jeex ports")
    state.write_text(before)
    stopped.is_well()


def test_a_block_that_another_checkout_has_too(stopped: Patient, tmp_path: Path) -> None:
    file = stopped.cli.home / ".local" / "state" / "jeex" / "checkouts.json"
    before = file.read_text()
    (tmp_path / ".jeex").mkdir()
    document = json.loads(before)
    document["checkouts"].append({"root": str(tmp_path), "block": 5200, "name": "other", "instance": ""})
    file.write_text(json.dumps(document))
    stopped.finds("port-block", "warn", "5200-5250", str(tmp_path), "jeex ports reset")
    state = stopped.cli.folder / ".jeex" / "state.json"
    kept = state.read_text()
    stopped.cli.run("ports", "reset")
    assert stopped.doctor("--only", "port-block")["port-block"]["level"] == "ok"
    assert stopped.cli.json("ports")["first"] == 25_200
    file.write_text(before)
    state.write_text(kept)


def test_a_user_without_a_home(stopped: Patient) -> None:
    home, stopped.cli.home = stopped.cli.home, Path()
    stopped.cli.extra["HOME"] = ""
    assert stopped.doctor("--only", "port-block")["port-block"]["level"] == "unknown"
    del stopped.cli.extra["HOME"]
    stopped.cli.home = home
    stopped.is_well()
