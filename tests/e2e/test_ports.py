"""Ports: what is taken is moved and stays moved, checkouts do not meet, and nothing of another's is ended."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from jeex_cli import checkouts
from tests.e2e.conftest import Cli, kill_leftovers, make_cli

pytestmark = pytest.mark.e2e

ANYWHERE = "0.0.0.0"  # noqa: S104 - what is tested


@contextmanager
def held(port: int, address: str = "127.0.0.1") -> Iterator[None]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((address, port))
        holder.listen()
        yield


def moved_to(cli: Cli, service: str) -> int:
    return int(cli.services()[service]["port"])


@pytest.fixture
def asked(cli: Cli) -> Iterator[dict[str, int]]:
    """The ports that are asked for, in `.env`: what is moved is known to jeex alone."""
    ports = dict(cli.ports)
    (cli.folder / ".env").write_text("".join(f"JEEX_{name}_PORT={port}\n" for name, port in ports.items()))
    cli.ports = {}
    yield ports
    cli.ports = ports


def test_a_taken_port_is_moved_into_the_block_and_stays_moved(cli: Cli, asked: dict[str, int]) -> None:
    with held(asked["VAULT"]):
        said = cli.run("up").stderr
        assert re.search(
            rf"port {asked['VAULT']} is held by pid {os.getpid()} \(.+\): .+; Vault gets (\d+), and keeps it", said
        )
        port = moved_to(cli, "vault")
        assert port in range(checkouts.FIRST, checkouts.FIRST + checkouts.SIZE)
        assert cli.json("status")["moved"] == {"vault": asked["VAULT"]}
        assert f"Vault has port {port}, for {asked['VAULT']} was taken" in cli.run("status").stdout
        assert {one["name"]: one["ok"] for one in cli.json("health")["services"]}["vault"]
        setting = next(one for one in cli.json("config", "show")["settings"] if one["name"] == "JEEX_VAULT_PORT")
        assert (setting["value"], "moved" in setting["source"]) == (str(port), True)
    # Free again, and still where everybody has learnt to find it; after `down`, too.
    cli.run("up")
    assert moved_to(cli, "vault") == port
    cli.run("down")
    cli.run("up")
    assert moved_to(cli, "vault") == port
    assert cli.json("ports", "reset") == {"services": ["vault"]}
    cli.run("up")
    assert moved_to(cli, "vault") == asked["VAULT"]
    assert cli.json("status")["moved"] == {}


def test_a_port_that_is_asked_for_anew_is_tried_anew(cli: Cli, asked: dict[str, int]) -> None:
    with held(asked["REDIS"]):
        cli.run("up", "redis")
        moved_to(cli, "redis")
    cli.ports["REDIS"] = asked["QDRANT"]  # nobody else's in this test
    cli.run("up", "redis")
    assert cli.services()["redis"]["port"] == asked["QDRANT"]


def test_strict_ports_refuse_with_the_holder_before_anything_starts(cli: Cli) -> None:
    with held(cli.ports["VAULT"]):
        for arguments, extra in ((("--strict-ports",), {}), ((), {"JEEX_STRICT_PORTS": "1"})):
            cli.extra = extra
            error = cli.json("up", *arguments, code=4)
            assert error["code"] == "PORT_IN_USE"
            assert f"pid {os.getpid()}" in error["message"]
            assert "Vault needs it" in error["message"]
            assert error["hint"].startswith(f"kill {os.getpid()}")
            assert cli.processes() == []
    cli.extra = {}


def test_a_port_that_compose_yaml_gives_as_a_number_cannot_be_moved(cli: Cli) -> None:
    port = cli.ports["FRONTEND"]
    text = f"services: {{web: {{image: x, x-jeex: {{title: Web, program: python}}, ports: ['127.0.0.1:{port}:80']}}}}\n"
    (cli.folder / "compose.yaml").write_text(text)
    with held(port):
        cli.ports = {}
        error = cli.json("up", code=4)
        assert error["code"] == "PORT_IN_USE"
        assert f"pid {os.getpid()}" in error["message"]
    (cli.folder / "compose.yaml").unlink()
    (cli.folder / ".jeex" / "state.json").unlink()


def test_checkouts_of_one_user_have_blocks_of_their_own_and_give_them_back(tmp_path: Path) -> None:
    first, second, third = (make_cli(tmp_path, name) for name in ("first", "second", "third"))
    for one in (first, second, third):
        one.home, one.ports = first.home, {}
    owned = []
    for one in (first, second):
        # Frontend alone: these are the very ports of a developer's machine, and it is quick.
        one.json("config", "show")
        owned.append(one.json("ports")["first"])
        one.run("down")
        (one.folder / ".jeex").mkdir(exist_ok=True)
        checkouts.claim(checkouts.registry(one.env), one.folder, wanted=None, name=one.folder.name, instance="")
    assert owned == [5200, 25_200]
    ports = {one["service"]: one["port"] for one in second.json("ports")["ports"] if one["service"]}
    assert ports == {"frontend": 25_200, "api": 25_210, "postgres": 25_220, "redis": 25_240, "vault": 25_250}
    assert second.json("config", "show")["settings"]
    (first.folder / ".jeex").rename(first.folder / "gone")  # its checkout was deleted
    assert third.json("ports")["first"] == 5200
    assert second.json("ports")["first"] == 25_200


def test_up_records_the_block_for_the_next_checkout(tmp_path: Path) -> None:
    first, second = make_cli(tmp_path, "first"), make_cli(tmp_path, "second")
    second.home = first.home
    try:
        first.run("up", "redis")
        file = first.home / ".local" / "state" / "jeex" / "checkouts.json"
        entry = json.loads(file.read_text())["checkouts"][0]
        assert (entry["root"], entry["block"]) == (str(first.folder), 5200)
        assert entry["name"].startswith("jeex-first-")
        assert re.fullmatch("[0-9a-f]{16}", entry["instance"])
        assert file.stat().st_mode & 0o777 == 0o600
        second.run("up", "redis")
        assert second.json("ports")["first"] == 25_200
        first.run("down")
        first.run("up", "redis")
        assert first.json("ports")["first"] == 5200
        file.write_text("{ broken")  # nothing of value: whoever has a block remembers it
        assert second.json("ports")["first"] == 25_200
    finally:
        for one in (first, second):
            one.run("down")
            one.assert_nothing_left()
            kill_leftovers(one)


def test_a_home_that_cannot_be_written_is_no_obstacle(cli: Cli) -> None:
    (cli.home / ".local").write_text("a file where a folder should be")
    cli.run("up", "redis")
    assert cli.json("ports")["first"] == 5200


def test_ports_names_who_holds_what(cli: Cli, tmp_path: Path) -> None:
    other = make_cli(tmp_path, "other")
    cli.ports["POSTGRES"] = other.ports["REDIS"]
    try:
        other.run("up", "redis")
        with held(cli.ports["API"], ANYWHERE):
            found = {one["service"]: one for one in cli.json("ports")["ports"] if one["service"]}
        assert found["api"]["state"] == "taken"
        assert found["api"]["holder"]["pid"] == os.getpid()
        assert found["api"]["holder"]["address"] == ANYWHERE
        assert found["postgres"]["state"] == "taken"
        assert found["postgres"]["holder"]["project"] == str(other.folder)
        assert found["frontend"]["state"] == "free"
        error = cli.json("up", "--strict-ports", "postgres", code=4)
        assert f"of another jeex project at {other.folder}" in error["message"]
        assert error["hint"].startswith(f"jeex --project '{other.folder}' down")
        # What is another's is not ended, nor what is ours and works.
        error = cli.json("ports", "free", str(cli.ports["POSTGRES"]), code=4)
        assert error["hint"] == f"jeex --project '{other.folder}' down"
        error = other.json("ports", "free", str(other.ports["REDIS"]), code=4)
        assert "runs as it should" in error["message"]
        assert other.services()["redis"]["status"] == "running"
    finally:
        other.run("down")
        other.assert_nothing_left()
        kill_leftovers(other)
    cli.ports["POSTGRES"] = cli.ports["QDRANT"]


def test_every_server_listens_on_its_own_port_and_on_no_other(cli: Cli) -> None:
    cli.run("up")
    pids = {int(one.read_text().split()[0]) for one in (cli.folder / ".jeex" / "run").glob("*.pid")}
    listening = {one.laddr.port for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in pids}
    assert listening == {one["port"] for one in cli.services().values() if one["port"]}


def test_free_ends_a_leftover_of_ours_alone(cli: Cli) -> None:
    port = cli.ports["REDIS"]
    assert cli.json("ports", "free", str(port)) == {"port": port, "ended": None}
    cli.run("up", "redis")
    record = cli.folder / ".jeex" / "run" / "redis.pid"
    pid = int(record.read_text().split()[0])
    record.unlink()  # as if .jeex/run had been lost: nobody knows this process any more
    assert cli.services()["redis"]["status"] == "stopped"
    ended = cli.json("ports", "free", str(port))["ended"]
    assert (ended["pid"], ended["own"]) == (pid, True)
    assert not Path(f"/proc/{pid}").exists()
    cli.run("up", "redis")
    assert cli.services()["redis"]["status"] == "running"


def test_free_leaves_a_stranger_alone(cli: Cli) -> None:
    code = f"import socket; s = socket.create_server(('127.0.0.1', {cli.ports['API']})); print(1, flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        error = cli.json("ports", "free", str(cli.ports["API"]), code=4)
        assert error["code"] == "PORT_IN_USE"
        assert f"pid {stranger.pid}" in error["message"]
        assert error["hint"] == f"kill {stranger.pid}"
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)
    for wrong in ("0", "65536", "http"):
        assert cli.json("ports", "free", wrong, code=2)["code"] == "USAGE"
