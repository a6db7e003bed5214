"""Ports with Docker: what is taken is moved, containers are named, and a container that is left over is ended."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import docker
from tests.e2e.conftest import Cli, kill_leftovers, make_cli

pytestmark = pytest.mark.docker


@pytest.fixture
def project(image: str, tmp_path: Path) -> Iterator[Cli]:
    one = make_cli(tmp_path)
    one.runtime = "compose"
    one.extra["JEEX_SERVICE_IMAGE"] = image
    yield one
    one.run("down", "--delete-data", "--yes")
    kill_leftovers(one)


def test_a_taken_port_is_moved_and_a_container_names_its_project(project: Cli, tmp_path: Path) -> None:
    asked = project.ports.pop("REDIS")
    (project.folder / ".env").write_text(f"JEEX_PROJECT=jeex-moved-{os.getpid()}\nJEEX_REDIS_PORT={asked}\n")
    with socket.create_server(("127.0.0.1", asked)):
        said = project.run("up", "redis").stderr
        assert f"port {asked} is held by pid {os.getpid()}" in said
        port = project.services()["redis"]["port"]
        assert port != asked
        assert project.services()["redis"]["status"] == "running"
    project.run("up", "redis")
    assert project.services()["redis"]["port"] == port
    assert project.json("status")["moved"] == {"redis": asked}

    other = make_cli(tmp_path, "other")
    other.home = project.home
    other.ports["REDIS"] = port
    error = other.json("up", "redis", "--strict-ports", code=4)
    name = re.search(r"^JEEX_PROJECT=(.+)$", (project.folder / ".env").read_text(), re.MULTILINE)
    assert name is not None
    assert f"the container {name[1]}-redis-1, of another jeex project at {project.folder}" in error["message"]
    assert error["hint"].startswith(f"jeex --project '{project.folder}' down")
    refused = project.json("ports", "free", str(port), code=4)
    assert "runs as it should" in refused["message"]


def test_a_container_of_ours_that_belongs_to_no_service_is_ended(project: Cli) -> None:
    port = project.ports["API"]
    project.run("up", "redis")
    found = re.search(r"^JEEX_PROJECT=(.+)$", (project.folder / ".env").read_text(), re.MULTILINE)
    assert found is not None
    label = f"com.docker.compose.project={found[1]}"
    # Without a volume of its own, which would stay when jeex removes the container.
    options = ("--name", f"{found[1]}-old", "--label", label, "--tmpfs", "/data", "-p", f"127.0.0.1:{port}:6379")
    left = docker("run", "-d", *options, "redis:8.2")
    ended = project.json("ports", "free", str(port))["ended"]
    assert (ended["container"], ended["own"]) == (f"{found[1]}-old", True)
    assert docker("ps", "-aq", "--no-trunc", "--filter", f"id={left.stdout.strip()}").stdout == ""
    assert project.services()["redis"]["status"] == "running"

    stranger = docker("run", "-d", "-p", f"127.0.0.1:{port}:6379", "redis:8.2").stdout.strip()
    try:
        error = project.json("ports", "free", str(port), code=4)
        assert error["hint"].startswith("docker stop ")
        assert docker("inspect", "--format", "{{.State.Running}}", stranger).stdout.strip() == "true"
    finally:
        docker("rm", "--force", "--volumes", stranger)
