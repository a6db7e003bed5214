"""Faults of the Docker engine that can be caused without one. Those in one that runs are in tests/docker/test_doctor.py."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.checks.docker import EngineDisk, OldImages, docker_disk, docker_old_images
from tests.e2e.conftest import JEEX, Cli, make_cli
from tests.e2e.doctor.conftest import Findings, Patient
from tests.e2e.doctor.fake_engine import fake_engine
from tests.integration.service.machine import until

pytestmark = pytest.mark.e2e

GB = 1000**3
COMPOSE = "#!/bin/sh\necho 2.30.1\n"
WITHOUT = {"docker-compose"}  # what needs no engine


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty project that is to run in Docker, and a `docker` program."""
    one = make_cli(tmp_path)
    one.runtime = "compose"
    one.extra["PATH"] = str(tools(tmp_path, COMPOSE))
    return one


def tools(root: Path, script: str | None) -> Path:
    """The only folder on PATH; `docker` is `script` there."""
    folder = root / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("sh", "git", "unshare", "setpriv"):
        if (found := shutil.which(name)) and not (folder / name).exists():
            (folder / name).symlink_to(found)
    (folder / "docker").unlink(missing_ok=True)
    if script is not None:
        (folder / "docker").write_text(script)
        (folder / "docker").chmod(0o755)
    return folder


def docker_group(cli: Cli, address: str) -> Findings:
    cli.extra["DOCKER_HOST"] = address
    return Patient(cli).doctor("--only", "docker")


def levels(found: Findings, *, without: set[str]) -> set[str]:
    return {one["level"] for name, one in found.items() if name not in without}


@contextmanager
def bound(path: Path, *, listening: bool) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        if listening:
            one.listen()
        yield f"unix://{path}"


def is_running(script: Path) -> bool:
    return str(script) in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout


def is_refused_by_up_in_these_words(cli: Cli, finding: dict[str, Any]) -> None:
    error = cli.json("up", code=3)
    assert (error["message"], error["hint"]) == (finding["summary"], finding["fix"])


def test_an_engine_that_is_well_raises_no_alarm(cli: Cli, tmp_path: Path) -> None:
    with fake_engine(tmp_path / "engine.sock", {}) as address:
        found = docker_group(cli, address)
    assert levels(found, without=set()) == {"ok"}, found
    assert "jeex up pulls or builds them" in found["docker-images"]["summary"]
    assert "free: cannot be seen from here" in found["docker-disk"]["evidence"]


def test_no_socket_and_one_that_nobody_listens_at(cli: Cli, tmp_path: Path) -> None:
    with bound(tmp_path / "dead.sock", listening=False) as dead:
        for address in (dead, f"unix://{tmp_path}/nothing.sock"):
            found = docker_group(cli, address)
            one = found["docker-engine"]
            assert (one["level"], one["summary"]) == ("fail", f"no Docker engine answers at {address}")
            assert "systemctl start docker" in one["fix"]
            # Nothing is called fine that could not be looked at.
            assert found["docker-compose"]["level"] == "ok"
            assert levels(found, without={"docker-engine", *WITHOUT}) == {"unknown"}
            is_refused_by_up_in_these_words(cli, one)
    with fake_engine(tmp_path / "nothing.sock", {}) as address:
        assert docker_group(cli, address)["docker-engine"]["level"] == "ok"


def test_an_engine_that_hangs(cli: Cli, tmp_path: Path) -> None:
    with bound(tmp_path / "silent.sock", listening=True) as address:
        found = docker_group(cli, address)
        out, _ = cli.start("doctor", "--json", "--only", "docker").communicate()
        assert json.loads(out)["data"]["seconds"] < 4  # 2.5, on a busy machine
    assert (found["docker-engine"]["level"], found["docker-compose"]["level"]) == ("fail", "ok")
    assert levels(found, without={"docker-engine", *WITHOUT}) == {"unknown"}


def test_a_socket_that_this_user_may_not_open(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "closed.sock"
    with fake_engine(path, {}) as address:
        path.chmod(0)
        if os.geteuid() == 0:  # to whom modes mean nothing
            cli.program = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", str(JEEX))
        found = docker_group(cli, address)
        one = found["docker-permission"]
        assert one["level"] == "fail"
        assert "usermod -aG docker" in one["fix"]
        assert "mode 0000; you are " in one["evidence"][0]
        assert levels(found, without={"docker-permission", *WITHOUT}) == {"unknown"}
        path.chmod(0o600)
        assert levels(docker_group(cli, address), without=set()) == {"ok"}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (None, "no `docker` program"),
        ("#!/bin/sh\necho 'docker: unknown command: compose' >&2; exit 1\n", "`docker` has no Compose"),
        ("#!/bin/sh\necho 2.10.1\n", "Docker Compose is 2.10;"),
    ],
)
def test_a_compose_that_is_missing_or_old(cli: Cli, tmp_path: Path, script: str | None, says: str) -> None:
    with fake_engine(tmp_path / "engine.sock", {}) as address:
        tools(tmp_path, script)
        found = docker_group(cli, address)
        assert found["docker-compose"]["level"] == "fail"
        assert says in found["docker-compose"]["summary"]
        assert levels(found, without=WITHOUT) == {"ok"}
        is_refused_by_up_in_these_words(cli, found["docker-compose"])
        tools(tmp_path, COMPOSE)
        assert levels(docker_group(cli, address), without=set()) == {"ok"}


def test_a_compose_that_hangs_keeps_no_other_check(cli: Cli, tmp_path: Path) -> None:
    with fake_engine(tmp_path / "engine.sock", {}) as address:
        os.mkfifo(tmp_path / "fifo")
        tools(tmp_path, f"#!/bin/sh\nread line < '{tmp_path}/fifo'\n")
        found = docker_group(cli, address)
        until(lambda: not is_running(tmp_path / "bin" / "docker"), seconds=5)  # it was ended: nothing outlives doctor
    assert found["docker-compose"]["level"] == "unknown"
    assert levels(found, without=WITHOUT) == {"ok"}


@pytest.mark.parametrize(
    ("answers", "check", "says"),
    [
        ({"/version": {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}}, "docker-podman", "Podman"),
        ({"/info": {"OSType": "windows", "MemTotal": 8 * GB}}, "docker-engine", "Windows"),
        ({"/info": {"OSType": "linux", "MemTotal": GB}}, "docker-memory", "1.0 GB of memory"),
    ],
)
def test_an_engine_in_which_the_stack_cannot_run(
    cli: Cli, tmp_path: Path, answers: dict[str, Any], check: str, says: str
) -> None:
    with fake_engine(tmp_path / "engine.sock", answers) as address:
        found = docker_group(cli, address)
        assert found[check]["level"] == "fail"
        assert says in found[check]["summary"]
        assert found[check]["fix"]
        is_refused_by_up_in_these_words(cli, found[check])


@pytest.mark.parametrize(("seconds", "level"), [(-30, "warn"), (90, "fail")])
def test_a_clock_of_the_engine_that_is_wrong(cli: Cli, tmp_path: Path, seconds: int, level: str) -> None:
    wrong = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    info = {"OSType": "linux", "MemTotal": 8 * GB, "SystemTime": wrong}
    with fake_engine(tmp_path / "engine.sock", {"/info": info}) as address:
        found = docker_group(cli, address)
    assert found["docker-clock"]["level"] == level
    assert ("behind" if seconds < 0 else "ahead of") in found["docker-clock"]["summary"]
    assert levels(found, without={"docker-clock"}) == {"ok"}


def test_dead_layers(cli: Cli, tmp_path: Path) -> None:
    cache = [{"Size": 4 * GB, "InUse": False}, {"Size": 9 * GB, "InUse": True}, {"Size": 9 * GB, "Shared": True}]
    images = [{"Id": "sha256:a", "Size": 8 * GB, "SharedSize": 6 * GB}, {"Id": "sha256:b", "Size": 9 * GB}]
    used = [{"Id": "c", "ImageID": "sha256:b", "Created": 1, "Labels": {}}]
    answers: dict[str, Any] = {"/system/df": {"BuildCache": cache}}
    with fake_engine(tmp_path / "engine.sock", answers) as address:
        assert docker_group(cli, address)["docker-disk"]["level"] == "ok"
        answers["/images/json"] = images
        answers["/containers/json"] = used
        one = Patient(cli).doctor("--only", "docker-disk")["docker-disk"]
    assert (one["level"], one["summary"]) == ("warn", "layers that nothing uses take 6.0 GB of the engine's disk")
    assert one["fix"] == "docker image prune; docker builder prune"
    assert one["repair"] == ""  # they may be another's


@pytest.mark.parametrize(
    ("images", "cache", "free", "level"),
    [
        (0, 0, None, "ok"),
        (0, 6 * GB, None, "warn"),
        (3 * GB, 3 * GB, 20 * GB, "warn"),
        (3 * GB, 3 * GB, 25 * GB, "ok"),  # there is room enough
        (0, 5 * GB, 3 * GB, "ok"),
        (0, 0, int(1.9 * GB), "warn"),
        (0, 0, GB // 4, "fail"),
    ],
)
def test_what_of_the_disk_is_too_much(images: int, cache: int, free: int | None, level: str) -> None:
    found = docker_disk(EngineDisk(images, cache, "/var/lib/docker", free))
    assert found.level == level
    assert bool(found.fix) == (level != "ok")


@pytest.mark.parametrize(("count", "size", "level"), [(2, GB, "ok"), (3, 5, "warn"), (1, GB + 1, "warn"), (0, 0, "ok")])
def test_how_many_old_images_are_too_many(count: int, size: int, level: str) -> None:
    found = docker_old_images(OldImages(tuple(f"sha256:{one}" for one in range(count)), size))
    assert (found.level, found.repair is None) == (level, level == "ok")
