"""Volumes in a real engine: listed, and what is wrong with one is found before anything starts. Nothing changes them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from jeex_cli import stack as stack_file
from jeex_cli.errors import DataError
from jeex_cli.runtimes import compose_volumes, engine
from jeex_cli.stack import Stack as Definition
from tests.docker.stack import Stack, docker

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.whole_engine, pytest.mark.timeout(300)]

MakeStack = Callable[..., Stack]
POSTGRES, REDIS = "postgres:18", "redis:8.2"
# A data directory as far as anybody looks at it, of the version and at the place that are put in.
DATA = "install -d -o postgres -g postgres -m 0700 {path} && echo {version} > {path}/PG_VERSION && chown -R postgres: {top}"


@pytest.fixture
def client(python_image: str) -> Iterator[DockerClient]:
    """The engine."""
    made = engine.connect(os.environ)
    yield made
    made.close()


def definition(one: Stack, **changed: str) -> Definition:
    return stack_file.load(one.folder / "compose.yaml", {**one.variables, **changed})


def volume(one: Stack, key: str) -> str:
    """A volume as Compose makes it; made here if it is not there yet."""
    name = f"{one.variables['JEEX_PROJECT']}_{key}"
    labels = (f"com.docker.compose.project={one.variables['JEEX_PROJECT']}", f"com.docker.compose.volume={key}")
    docker("volume", "create", *(part for label in labels for part in ("--label", label)), name)
    return name


def in_volume(name: str, image: str, script: str) -> str:
    """What a shell prints that works as root in the folder of the volume."""
    options = ("--network", "none", "--user", "0", "--entrypoint", "sh", "--volume", f"{name}:/v", "--workdir", "/v")
    return docker("run", "--rm", *options, image, "-ec", script).stdout


def seen(name: str) -> str:
    """All that there is in a volume, with owners, modes, times and contents; and the volume itself."""
    script = "find . -exec stat -c '%n %u %g %a %Y' {} + | sort; find . -type f -exec sha256sum {} + | sort"
    return in_volume(name, POSTGRES, script) + docker("volume", "inspect", name).stdout


def refused(client: DockerClient, one: Stack, **changed: str) -> DataError:
    """The error, after which nothing is different."""
    ours = f"label={engine.PROJECT}={one.variables['JEEX_PROJECT']}"
    names = docker("volume", "ls", "--quiet", "--filter", ours).stdout.split()
    before = [seen(name) for name in names]
    described = definition(one, **changed)
    with pytest.raises(DataError) as found:
        compose_volumes.check(client, described, described.project)
    listed = compose_volumes.volumes(client, described, described.project)
    assert [each.problem for each in listed if each.problem] == [
        f"{found.value.message} [{found.value.code}]; try: {found.value.hint}"
    ]
    (finding,) = one.doctor("--only", "docker-volumes", JEEX_RUNTIME="compose", **changed)
    assert (finding["level"], finding["summary"], finding["fix"]) == ("fail", found.value.message, found.value.hint)
    assert [seen(name) for name in names] == before
    assert found.value.exit_code == 3 and "Nothing was changed" in found.value.detail
    return found.value


def accepted(client: DockerClient, one: Stack, **changed: str) -> None:
    described = definition(one, **changed)
    compose_volumes.check(client, described, described.project)
    assert not [each.problem for each in compose_volumes.volumes(client, described, described.project) if each.problem]
    (finding,) = one.doctor("--only", "docker-volumes", JEEX_RUNTIME="compose", **changed)
    assert finding["level"] == "ok"


def follow(command: str) -> None:
    """Do what jeex has said."""
    assert command.startswith("docker run --rm ")
    subprocess.run(shlex.split(command), check=True, capture_output=True)


def left_by_looking() -> list[str]:
    """Containers that jeex has looked with; volumes without a name, which the images would have made for them."""
    containers = docker("ps", "--all", "--quiet", "--filter", "label=jeex.looking").stdout.split()
    listed = docker("volume", "ls", "--quiet", "--filter", "dangling=true").stdout.split()
    return containers + [name for name in listed if re.fullmatch(r"[0-9a-f]{64}", name)]


def test_a_running_stacks_volumes_and_one_made_with_another_password(stack: MakeStack, client: DockerClient) -> None:
    one = stack(JEEX_RUNTIME="compose")
    assert one.jeex("volume", "list") == []
    accepted(client, one)
    one.up("postgres", "redis")
    one.wait_healthy(["postgres", "redis"])
    accepted(client, one)
    listed = {each["service"]: each for each in one.jeex("volume", "list")}
    assert listed.keys() == {"postgres", "redis"}
    project = one.variables["JEEX_PROJECT"]
    for service, each in listed.items():
        assert each["name"] == f"{project}_{service}-data" and each["problem"] == ""
        labels = json.loads(docker("volume", "inspect", each["name"]).stdout)[0]["Labels"]
        assert labels["jeex.service"] == service
    assert listed["postgres"]["size"] > 20 * 2**20 > listed["redis"]["size"]
    assert one.sql("SELECT 1") == ["1"]

    # Settings that a running server does not follow yet, then a server that was started with them.
    error = refused_password(client, one, JEEX_POSTGRES_PASSWORD="another")
    assert listed["postgres"]["name"] in error.message
    one.down()
    accepted(client, one, JEEX_POSTGRES_PASSWORD="another")  # nobody can tell while it does not run
    kept = (one.folder / ".env").read_text()
    with (one.folder / ".env").open("a") as file:
        file.write("JEEX_POSTGRES_PASSWORD=another\n")
    one.up("postgres")
    one.wait_healthy(["postgres"])
    described = definition(one, JEEX_POSTGRES_PASSWORD="another")
    with pytest.raises(DataError) as found:
        compose_volumes.check_password(client, described, described.project)
    assert found.value.code == "PASSWORD_MISMATCH"
    assert "PASSWORD_MISMATCH" in one.jeex("volume", "list")[0]["problem"]
    # The way out.
    (one.folder / ".env").write_text(kept)
    one.up("postgres")
    one.wait_healthy(["postgres"])
    accepted(client, one)
    assert one.sql("SELECT datname FROM pg_database WHERE datname = 'jeex'") == ["jeex"]


def refused_password(client: DockerClient, one: Stack, **changed: str) -> DataError:
    described = definition(one, **changed)
    for look in (compose_volumes.check, compose_volumes.check_password):
        with pytest.raises(DataError) as found:
            look(client, described, described.project)
        assert found.value.code == "PASSWORD_MISMATCH"
        assert "old passwords back into .env" in found.value.hint and "Nothing was changed" in found.value.detail
    return found.value


def test_data_of_another_version_is_kept_and_the_ways_out_work(stack: MakeStack, client: DockerClient) -> None:
    one = stack()
    name = volume(one, "postgres-data")
    in_volume(name, POSTGRES, DATA.format(path="16/docker", version="16", top="16"))
    error = refused(client, one)
    assert error.code == "DATA_VERSION"
    assert "PostgreSQL 16" in error.message and "PostgreSQL 18 would begin an empty database" in error.message
    assert error.hint == "JEEX_POSTGRES_VERSION=16 jeex up"
    # To begin beside it.
    begin = next(line.strip() for line in error.detail.splitlines() if line.startswith("  docker run"))
    follow(begin)
    accepted(client, one)
    one.up("postgres")
    one.wait_healthy(["postgres"])
    assert in_volume(name, POSTGRES, "cat 16/docker/PG_VERSION 18/docker/PG_VERSION").split() == ["16", "18"]
    one.down()
    # The same version under another name: its folder would be another, and empty.
    docker("tag", POSTGRES, "postgres:18-of-a-test")
    try:
        error = refused(client, one, JEEX_POSTGRES_VERSION="18-of-a-test")
        assert error.code == "DATA_VERSION" and error.hint == "JEEX_POSTGRES_VERSION=18 jeex up"
    finally:
        docker("image", "rm", "postgres:18-of-a-test")


def test_data_in_a_place_that_is_not_its_own_moves_by_the_command_that_is_told(
    stack: MakeStack, client: DockerClient
) -> None:
    one = stack()
    name = volume(one, "postgres-data")
    in_volume(name, POSTGRES, DATA.format(path=".", version="16", top=".") + " && mkdir base && touch base/1 'a b'")
    error = refused(client, one)
    assert error.code == "DATA_VERSION" and "PostgreSQL 16 at its top" in error.detail
    command, then = error.hint.split(" && ")
    assert then == "JEEX_POSTGRES_VERSION=16 jeex up"
    follow(command)
    assert in_volume(name, POSTGRES, "cat 16/docker/PG_VERSION; ls; ls 16/docker/base").split() == ["16", "16", "1"]

    in_volume(name, POSTGRES, "mv 16 18")
    error = refused(client, one)
    assert error.code == "DATA_VERSION" and "PostgreSQL 16 made 18/docker" in error.message
    follow(error.hint.split(" && ")[0])
    assert in_volume(name, POSTGRES, "cat 16/docker/PG_VERSION; ls -A 18").split() == ["16"]
    in_volume(name, POSTGRES, "rm -r 16; install -d -o postgres -m 0700 18/docker; touch 18/docker/postgresql.conf")
    assert refused(client, one).code == "DATA_FOREIGN"


@pytest.mark.parametrize(
    ("key", "script", "seen_in"),
    [
        ("postgres-data", DATA.format(path="18/docker", version="18", top="18") + " && chown -R 70:70 18", "18"),
        ("postgres-data", DATA.format(path="18/docker", version="18", top="18") + " && chmod 0755 18/docker", "0755"),
        ("postgres-data", "touch copied", "the volume"),
        ("redis-data", "chown redis: . && touch dump.rdb && chmod 0600 dump.rdb", "dump.rdb"),
    ],
)
def test_what_the_service_may_not_use_is_named_with_the_command_that_gives_it(
    stack: MakeStack, client: DockerClient, key: str, script: str, seen_in: str
) -> None:
    one = stack()
    name = volume(one, key)
    accepted(client, one)  # new: Docker makes it the service's own
    in_volume(name, REDIS if key.startswith("redis") else POSTGRES, f"chown 0:0 . && chmod 0755 . && {script}")
    error = refused(client, one)
    assert error.code == "DATA_OWNER" and seen_in in error.message and name in error.message
    follow(error.hint)
    accepted(client, one)


def test_looking_leaves_nothing_and_an_image_that_is_missing_is_no_error(stack: MakeStack, client: DockerClient) -> None:
    one = stack()
    volume(one, "postgres-data")
    name = volume(one, "redis-data")
    docker("volume", "create", "--label", f"{engine.PROJECT}={one.variables['JEEX_PROJECT']}", f"{name}-of-theirs")
    before = left_by_looking()
    try:
        for _ in range(3):
            accepted(client, one)
        accepted(client, one, JEEX_POSTGRES_VERSION="17", JEEX_REDIS_VERSION="7")
        assert left_by_looking() == before
        described = definition(one)
        services = {each.name: each.service for each in compose_volumes.volumes(client, described, described.project)}
        assert services[f"{name}-of-theirs"] == ""
    finally:
        docker("volume", "rm", f"{name}-of-theirs")
    # Empty volumes stay as they are until their service comes.
    assert in_volume(name, REDIS, "ls -A") == ""
