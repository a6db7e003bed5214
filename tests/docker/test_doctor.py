"""`jeex doctor` with Docker: no false alarm, and every fault of the engine and of what the project has in it.

What is wrong with volumes it finds in test_volumes.py, a sealed Vault it opens in test_vault.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli.checks import CHECKS
from jeex_cli.runtimes.compose_image import LABEL
from tests.docker.stack import docker
from tests.docker.test_runtime import container, killed
from tests.e2e.conftest import JEEX, make_cli
from tests.e2e.doctor.conftest import Patient, examined, root_only
from tests.e2e.doctor.relay import relay
from tests.integration.service.machine import until

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module")
def healthy(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    cli = make_cli(tmp_path_factory.mktemp("compose"))
    cli.runtime = "compose"
    cli.extra["JEEX_SERVICE_IMAGE"] = image
    yield from examined(cli, up=True)
    assert cli.containers() == []


def test_a_healthy_stack_raises_no_alarm_and_is_seen_by_every_check(healthy: Patient) -> None:
    found = healthy.doctor()
    skipped = {name for name, one in found.items() if one["level"] == "skipped"}
    assert skipped == {check.id for check in CHECKS if check.runtime == "embedded"}
    assert healthy.cli.json("doctor")["seconds"] < 3


def engine_of(patient: Patient, **environment: str) -> dict[str, dict[str, str]]:
    """What doctor finds of the engine, in another environment."""
    patient.cli.extra.update(environment)
    try:
        found: dict[str, dict[str, str]] = patient.doctor("--only", "docker")
        return found
    finally:
        for name in environment:
            del patient.cli.extra[name]


def test_no_engine(healthy: Patient, tmp_path: Path) -> None:
    found = engine_of(healthy, DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert (found["docker-engine"]["level"], found["docker-compose"]["level"]) == ("fail", "ok")
    assert "no Docker engine answers" in found["docker-engine"]["summary"]
    assert "systemctl start docker" in found["docker-engine"]["fix"]
    # Nothing is called fine that could not be looked at.
    assert {one["level"] for name, one in found.items() if name not in ("docker-engine", "docker-compose")} == {"unknown"}


@root_only
def test_a_socket_that_this_user_may_not_open(healthy: Patient, tmp_path: Path) -> None:
    with relay(tmp_path / "closed.sock", b"never", b"never") as address:
        (tmp_path / "closed.sock").chmod(0)
        program = healthy.cli.program
        healthy.cli.program = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", str(JEEX))
        found = engine_of(healthy, DOCKER_HOST=address)
        healthy.cli.program = program
    assert found["docker-permission"]["level"] == "fail"
    assert "usermod -aG docker" in found["docker-permission"]["fix"]
    assert found["docker-engine"]["level"] == "unknown"


@pytest.mark.parametrize(
    ("pattern", "text", "check", "level", "says"),
    [
        (rb'"Name":"Engine"', b'"Name":"Podman"', "docker-podman", "fail", "Podman"),
        (rb'"MemTotal":\d+', b'"MemTotal": 999', "docker-memory", "fail", "0.0 GB of memory"),
        (rb'"OSType":"linux"', b'"OSType":"winds"', "docker-engine", "fail", "Windows"),
        (rb'"SystemTime":"20\d\d', b'"SystemTime":"2001', "docker-clock", "fail", "behind this machine's"),
    ],
)
def test_an_engine_of_another_kind(  # noqa: PLR0917 - a table
    healthy: Patient, tmp_path: Path, pattern: bytes, text: bytes, check: str, level: str, says: str
) -> None:
    with relay(tmp_path / "engine.sock", pattern, text) as address:
        one = engine_of(healthy, DOCKER_HOST=address)[check]
    assert one["level"] == level, one
    assert says in one["summary"]
    assert one["fix"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (None, "no `docker` program"),
        ("echo 'docker: unknown command: compose' >&2; exit 1", "`docker` has no Compose"),
        ("echo 2.10.1", "Docker Compose is 2.10;"),
    ],
)
def test_a_compose_that_is_missing_or_old(healthy: Patient, tmp_path: Path, script: str | None, says: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "git", "unshare", "setpriv", "date"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    if script is not None:
        (tools / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "docker").chmod(0o755)
    one = engine_of(healthy, PATH=str(tools))["docker-compose"]
    assert one["level"] == "fail"
    assert says in one["summary"]


def test_a_container_that_ends_again_and_again(healthy: Patient) -> None:
    for _ in range(3):
        killed(healthy.cli, "frontend")
        healthy.cli.run("wait", "frontend", "--timeout", "60")
    healthy.finds("docker-restarts", "fail", "frontend ends again and again", "3 times", "jeex restart frontend")
    healthy.fixes("docker-restarts")


def test_a_container_that_ran_out_of_memory(healthy: Patient) -> None:
    greedy = "x = bytearray(10**9)\nfor at in range(0, 10**9, 4096): x[at] = 1"
    docker("exec", container(healthy.cli, "frontend"), "python", "-c", greedy, check=False)
    until(
        lambda: (
            docker("inspect", "--format", "{{.State.OOMKilled}}", container(healthy.cli, "frontend")).stdout.strip()
            == "true"
        ),
        seconds=10,
    )
    also = ("docker-restarts", "services-running", "identity-frontend")
    healthy.finds("docker-limits", "warn", "ran out of memory", "limits.memory of frontend", also=also)
    healthy.fixes("docker-limits")


def test_a_container_of_no_service_and_one_of_another_folder(healthy: Patient) -> None:
    name = container(healthy.cli, "old").removesuffix("-1")
    project = name.removesuffix("-old")
    labels = ("--label", f"com.docker.compose.project={project}", "--label", "com.docker.compose.service=old")
    docker("create", "--name", name, *labels, "redis:8.2")
    healthy.finds("docker-orphans", "warn", name, f"docker rm -f {name}")
    healthy.fixes("docker-orphans")
    assert docker("ps", "--all", "--quiet", "--filter", f"name={name}").stdout == ""

    elsewhere = ("--label", "com.docker.compose.project.working_dir=/another/checkout")
    labels = ("--label", f"com.docker.compose.project={project}", "--label", "com.docker.compose.service=qdrant")
    healthy.cli.extra["JEEX_PROFILES"] = "vector"
    docker("create", "--name", name, *labels, *elsewhere, "--label", "com.docker.compose.oneoff=False", "redis:8.2")
    also = ("docker-images", "services-running", "docker-orphans", "docker-restarts", "docker-limits")
    one = healthy.finds("docker-foreign", "fail", "/another/checkout", "another JEEX_PROJECT", also=also)
    assert one["repair"] == ""
    docker("rm", "--force", name)
    del healthy.cli.extra["JEEX_PROFILES"]
    healthy.is_well()


def test_an_image_that_is_gone(healthy: Patient) -> None:
    healthy.cli.extra["JEEX_REDIS_VERSION"] = "8.2-gone"
    docker("tag", "redis:8.2", "redis:8.2-gone")
    assert healthy.doctor("--only", "docker-images")["docker-images"]["level"] == "ok"
    docker("image", "rm", "redis:8.2-gone")
    healthy.finds("docker-images", "warn", "1 of the stack's images is gone", "redis:8.2-gone", "jeex up")
    del healthy.cli.extra["JEEX_REDIS_VERSION"]
    healthy.is_well()


def test_layers_that_nothing_uses(healthy: Patient) -> None:
    made = docker("run", "-d", "--entrypoint", "truncate", "redis:8.2", "-s", "2200M", "/tmp/large").stdout.strip()  # noqa: S108
    docker("wait", made)
    image = docker("commit", "--change", f"LABEL {LABEL}=old", made).stdout.strip()
    docker("rm", made)
    try:
        one = healthy.finds("docker-disk", "warn", "GB of the engine's disk", "docker image prune")
        assert image.removeprefix("sha256:")[:12] in one["repair"]
        healthy.fixes("docker-disk")
        assert docker("image", "inspect", image, check=False).returncode != 0
    finally:
        docker("image", "rm", "--force", image, check=False)


def test_a_server_that_the_network_can_reach(healthy: Patient) -> None:
    # As a compose.yaml that publishes on every address does it.
    name, port = container(healthy.cli, "open").removesuffix("-1"), healthy.cli.ports["QDRANT"]
    project = name.removesuffix("-open")
    label = f"com.docker.compose.project={project}"
    docker("run", "-d", "--name", name, "--label", label, "-p", f"0.0.0.0:{port}:6379", "redis:8.2")
    healthy.cli.extra["JEEX_PROFILES"] = "vector"
    try:
        found = healthy.doctor("--only", "ports")
        assert found["port-exposed"]["level"] == "fail", found["port-exposed"]
        assert f"0.0.0.0:{port}" in found["port-exposed"]["summary"]
    finally:
        docker("rm", "--force", name)
        del healthy.cli.extra["JEEX_PROFILES"]
    healthy.is_well()
