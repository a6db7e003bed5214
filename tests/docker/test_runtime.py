"""`jeex` with Docker: what the engine does by itself, what others have left, and what is wrong where it does not work."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import docker
from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.test_golden_path import get
from tests.integration.service.machine import until

pytestmark = pytest.mark.docker


def in_docker(root: Path, image: str, name: str = "project", **extra: str) -> Cli:
    one = make_cli(root, name)
    one.runtime = "compose"
    one.extra = {"JEEX_SERVICE_IMAGE": image, **extra}
    return one


@pytest.fixture
def cli(image: str, tmp_path: Path) -> Iterator[Cli]:
    one = in_docker(tmp_path, image)
    yield one
    try:
        one.run("down", "--delete-data", "--yes")
        assert one.containers() == []
    finally:
        kill_leftovers(one)


def container(cli: Cli, service: str) -> str:
    found = re.search(r"^JEEX_PROJECT=(.+)$", (cli.folder / ".env").read_text(), re.MULTILINE)
    assert found
    return f"{found[1]}-{service}-1"


def killed(cli: Cli, service: str) -> None:
    """As when it crashes: `docker kill` would count as stopped on purpose."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", container(cli, service)).stdout.strip()
    os.kill(int(pid), signal.SIGKILL)


@pytest.mark.timeout(300)  # six services, one after the other
def test_what_is_killed_comes_back_by_itself_and_status_tells(cli: Cli) -> None:
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    for service in ("redis", "vault", "postgres", "worker", "api", "frontend"):
        killed(cli, service)
        cli.run("wait", "--timeout", "60")
        one = cli.services()[service]
        assert (one["status"], one["restarts"]) == ("running", 1), service
        assert one["detail"] == "started again by Docker"
    until(lambda: get(cli, "/api/v1/whoami", key)[0] == 200)
    assert "started again by Docker" in cli.run("status").stdout
    before = {name: one["pid"] for name, one in cli.services().items()}
    assert "already running" in cli.run("up").stderr
    assert {name: one["pid"] for name, one in cli.services().items()} == before
    assert get(cli, "/api/v1/whoami", key)[0] == 200


@pytest.mark.whole_engine
@pytest.mark.skipif("JEEX_TEST_DOCKER_ENGINE" not in os.environ, reason="the engine is not ours to restart")
def test_after_the_engine_was_restarted_the_stack_is_back_and_vault_is_open(cli: Cli) -> None:
    """The variable names the script that has started the engine."""
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    pid_file = Path("/var/run/docker.pid")
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    until(lambda: not pid_file.exists(), seconds=60)
    assert cli.json("status", code=3)["code"] == "ENGINE_DOWN"
    subprocess.run(["bash", os.environ["JEEX_TEST_DOCKER_ENGINE"], "start"], check=True, capture_output=True)
    cli.run("wait", "--timeout", "90")
    until(lambda: get(cli, "/api/v1/whoami", key)[0] == 200)
    assert cli.json("secrets", "status")["sealed"] is False


def test_two_projects_side_by_side_and_data_that_only_its_own_command_deletes(cli: Cli, image: str, tmp_path: Path) -> None:
    other = in_docker(tmp_path, image, "another project, with spaces")
    try:
        processes = [cli.start("up"), other.start("up")]
        for process in processes:
            out, err = process.communicate(timeout=110)
            assert process.returncode == 0, out + err
        key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
        assert get(cli, "/api/v1/whoami", key)[0] == 200
        assert get(other, "/api/v1/whoami", key)[0] == 401
        cli.run("down")
        assert get(other, "/ready")[0] == 200
        cli.run("up")
        assert get(cli, "/api/v1/whoami", key)[0] == 200  # `down` keeps data
        kept = {one["name"] for one in other.json("volume", "list")}
        mine = {one["name"] for one in cli.json("volume", "list")}
        assert kept and mine and not kept & mine
        asked = cli.json("down", "--delete-data", code=2)
        assert (asked["code"], set(asked["detail"].splitlines())) == ("NEEDS_YES", mine)
        cli.run("down", "--delete-data", "--yes")
        assert cli.containers() == []
        assert {one["name"] for one in other.json("volume", "list")} == kept
        assert get(other, "/ready")[0] == 200
        other.run("down", "--delete-data", "--yes")
        assert other.containers() == []
    finally:
        kill_leftovers(other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_goes_on_and_leftovers_go_with_down(cli: Cli, number: signal.Signals) -> None:
    for pause in (0.5, 1.5, 3.0):
        process = cli.start("up")
        time.sleep(pause)
        if process.poll() is None:
            os.kill(process.pid, number)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if number == signal.SIGINT:
            assert process.returncode in (0, 130), err
    cli.run("up")
    assert get(cli, "/ready")[0] == 200
    # A container of a service that compose.yaml no longer names.
    found = re.search(r"^JEEX_PROJECT=(.+)$", (cli.folder / ".env").read_text(), re.MULTILINE)
    assert found
    labels = {"project": found[1], "service": "old", "oneoff": "False", "container-number": "1", "config-hash": "x"}
    left = docker(
        *("run", "--detach", "--name", f"{found[1]}-old-1", "--tmpfs", "/data", "--entrypoint", "sleep"),
        *(word for name, value in labels.items() for word in ("--label", f"com.docker.compose.{name}={value}")),
        *("redis:8.2", "600"),
    ).stdout.strip()
    cli.run("up")
    assert docker("inspect", left, check=False).returncode
    cli.run("down")
    assert [one for one in cli.containers() if not one.startswith("volume")] == []


def test_a_service_that_does_not_start_is_shown_with_its_last_words(cli: Cli) -> None:
    cli.extra["JEEX_POSTGRES_SHARED_BUFFERS"] = "nonsense"
    error = cli.json("up", code=5)
    assert error["code"] == "UNHEALTHY"
    assert "PostgreSQL" in error["message"]
    assert 'invalid value for parameter "shared_buffers"' in error["detail"]
    del cli.extra["JEEX_POSTGRES_SHARED_BUFFERS"]
    cli.run("up")


def test_a_vault_that_must_be_unsealed_is_by_up(cli: Cli) -> None:
    cli.extra["JEEX_VAULT_IMAGE"] = "hashicorp/vault:1.20"
    cli.run("up")
    keys = cli.folder / ".jeex" / "vault-keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600
    docker("restart", container(cli, "vault"))
    until(lambda: cli.services()["vault"]["status"] != "running")
    cli.run("up")
    assert cli.services()["vault"]["status"] == "running"
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    assert get(cli, "/api/v1/whoami", key)[0] == 200


def test_an_image_that_cannot_be_had_is_named(cli: Cli) -> None:
    cli.extra["JEEX_REDIS_VERSION"] = "0.0.1-nowhere"
    error = cli.json("up", code=3)
    assert error["code"] == "IMAGE_MISSING"
    assert "redis:0.0.1-nowhere" in error["message"]
    assert "jeex up --runtime embedded" in error["hint"]
    assert cli.containers() == []


def test_an_image_for_another_machine_is_named(cli: Cli) -> None:
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    other = "arm64" if os.uname().machine == "x86_64" else "amd64"
    subprocess.run(
        ["docker", "import", "--platform", f"linux/{other}", "-", "redis:jeex-test-other"],
        input=empty.getvalue(),
        check=True,
        capture_output=True,
    )
    try:
        cli.extra["JEEX_REDIS_VERSION"] = "jeex-test-other"
        error = cli.json("up", code=3)
        assert (error["code"], other in error["message"]) == ("IMAGE_ARCHITECTURE", True)
    finally:
        docker("image", "rm", "redis:jeex-test-other")


def test_auto_takes_docker_where_it_works_and_says_why_not(image: str, tmp_path: Path) -> None:
    one = in_docker(tmp_path, image)
    one.runtime = "auto"
    one.extra["JEEX_REDIS_VERSION"] = "0.0.1-nowhere"
    try:
        said = one.run("up", "redis").stderr
        assert "without Docker, for the image redis:0.0.1-nowhere is not here" in said
        assert one.json("status")["runtime"] == "embedded"
        one.run("down", "--delete-data", "--yes")
        del one.extra["JEEX_REDIS_VERSION"]
        one.run("up", "redis")
        assert one.json("status")["runtime"] == "compose"
        one.run("down")
        assert one.json("status")["runtime"] == "compose"  # what was chosen stays
        one.runtime = "compose"
        one.run("down", "--delete-data", "--yes")
        assert one.containers() == []
    finally:
        one.runtime = "compose"
        kill_leftovers(one)


def test_an_engine_that_is_not_there(cli: Cli) -> None:
    cli.extra["DOCKER_HOST"] = f"unix://{cli.folder}/nothing.sock"
    for command in ("up", "status", "down", "logs"):
        error = cli.json(command, code=3)
        assert (error["code"], "jeex up --runtime embedded" in error["hint"]) == ("ENGINE_DOWN", True), command
    cli.runtime = "auto"
    assert "without Docker, for no Docker engine answers" in cli.run("up", "redis").stderr
    cli.run("down", "--delete-data", "--yes")
    cli.runtime = "compose"
    del cli.extra["DOCKER_HOST"]


@pytest.mark.parametrize(
    ("answer", "code"), [("exit 1", "COMPOSE_MISSING"), ("echo 2.10.2", "COMPOSE_OLD"), ("echo 1.29.2", "COMPOSE_OLD")]
)
def test_a_docker_without_a_compose_that_is_new_enough(cli: Cli, tmp_path: Path, answer: str, code: str) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    path = os.environ["PATH"]
    cli.extra["PATH"] = f"{program.parent}:{path}"
    assert cli.json("up", code=3)["code"] == code
    del cli.extra["PATH"]
    assert json.loads(cli.run("status", "--json").stdout)["data"]["runtime"] == "compose"
