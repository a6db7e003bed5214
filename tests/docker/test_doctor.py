"""`jeex doctor` with Docker: no false alarm, and every fault of the engine and of what the project has in it.

What is wrong with volumes it finds in test_volumes.py, a sealed Vault it opens in test_vault.py; an engine that is not
there, or not for this user, is in tests/e2e/doctor/test_docker.py, which needs none.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jeex_cli.checks import CHECKS
from jeex_cli.runtimes import compose_report, engine
from jeex_cli.runtimes.compose_image import LABEL
from tests.docker.stack import ROOT, docker
from tests.docker.test_runtime import container, killed
from tests.e2e.conftest import Cli, make_cli
from tests.e2e.doctor.conftest import Patient, examined, in_namespace, root_only
from tests.e2e.doctor.relay import ENGINE, relay
from tests.e2e.doctor.test_accounts import with_this_python
from tests.e2e.test_machines import NOBODY
from tests.integration.service.machine import until

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.whole_engine]


@pytest.fixture(scope="module")
def healthy(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    cli = make_cli(tmp_path_factory.mktemp("compose"))
    cli.runtime = "compose"
    name = cli.extra["JEEX_SERVICE_IMAGE"] = f"{image}-of-doctor"
    docker("tag", image, name)
    yield from examined(cli, up=True)
    assert cli.containers() == []
    docker("image", "rm", name)


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


def project_of(patient: Patient) -> str:
    return container(patient.cli, "x").removesuffix("-x-1")


_NO_VOLUME = ("--tmpfs", "/data")  # or the image gets one without a name, which stays when jeex removes the container


def made(patient: Patient, name: str, *options: str, run: bool = False, service: str = "") -> Iterator[str]:
    """A container that Compose takes for one of the project's."""
    full = f"{project_of(patient)}-{name}"
    labels = [f"com.docker.compose.project={project_of(patient)}"] + [f"com.docker.compose.service={service}"] * bool(
        service
    )
    given = [part for label in labels for part in ("--label", label)]
    docker(*(("run", "-d") if run else ("create",)), "--name", full, *_NO_VOLUME, *given, *options, "redis:8.2")
    try:
        yield full
    finally:
        docker("rm", "--force", "--volumes", full, check=False)


def test_a_container_of_no_service(healthy: Patient) -> None:
    for name in made(healthy, "old", service="old"):
        healthy.finds("docker-orphans", "warn", name, f"docker rm -f {name}")
        healthy.fixes("docker-orphans")
        assert docker("ps", "--all", "--quiet", "--filter", f"name={name}").stdout == ""


def test_what_somebody_is_at_work_with_is_not_left_over(healthy: Patient, tmp_path: Path) -> None:
    one_off = ("--label", "com.docker.compose.oneoff=True")
    looks = ("--label", f"jeex.looking={project_of(healthy)}")
    only = ("--only", "docker-orphans")
    for run in made(healthy, "redis-run", *one_off, run=True, service="redis"):
        name = f"{project_of(healthy)}-looking"
        docker("run", "--name", name, *_NO_VOLUME, *looks, "--entrypoint", "true", "redis:8.2")
        try:
            # Both are new. Long after, the one that runs is still somebody's, the other nobody's.
            assert healthy.doctor(*only)["docker-orphans"]["level"] == "ok"
            with relay(tmp_path / "later.sock", rb'"Created":\d+', b'"Created":1') as address:
                healthy.cli.extra["DOCKER_HOST"] = address
                found = healthy.doctor(*only)["docker-orphans"]
                assert (found["level"], found["repair"]) == ("warn", f"docker rm -f {name}"), found
                docker("kill", run)
                assert set(healthy.doctor(*only)["docker-orphans"]["repair"].split()[3:]) == {name, run}
                assert healthy.doctor(*only, "--fix", "--yes")["docker-orphans"]["level"] == "ok"
            assert docker("ps", "--all", "--quiet", "--filter", f"name={run}", "--filter", f"name={name}").stdout == ""
        finally:
            healthy.cli.extra.pop("DOCKER_HOST", None)
            docker("rm", "--force", "--volumes", name, check=False)


def test_two_folders_with_one_name(healthy: Patient, tmp_path: Path) -> None:
    other = make_cli(tmp_path, "copy")
    other.runtime = "compose"
    other.extra.update(healthy.cli.extra)
    shutil.copy(healthy.cli.folder / ".env", other.folder)
    other.run("up", "redis")  # and so has taken this one's
    found = healthy.doctor("--only", "docker")
    assert found["docker-foreign"]["level"] == "fail", found["docker-foreign"]
    assert f"was made by the stack in {other.folder}" in found["docker-foreign"]["summary"]
    assert "another JEEX_PROJECT" in found["docker-foreign"]["fix"]
    assert [one["repair"] for one in found.values() if one["repair"]] == []  # nothing is done to what is another's
    assert {name for name, one in found.items() if one["level"] not in ("ok", "skipped")} == {"docker-foreign"}
    healthy.cli.run("up")
    healthy.is_well()


def test_a_folder_that_was_moved_and_a_service_of_another_profile(healthy: Patient) -> None:
    label = ("--label", "com.docker.compose.project.working_dir=/another/checkout")
    for _ in made(healthy, "moved", *label, service="qdrant"):
        one = healthy.finds("docker-foreign", "warn", "/another/checkout, which is no more", "jeex down && jeex up")
        assert one["repair"] == ""
    healthy.is_well()


def test_images_of_older_sources(healthy: Patient, image: str) -> None:
    name = healthy.cli.extra["JEEX_SERVICE_IMAGE"]
    docker("build", "--quiet", "--tag", name, "-", input=f"FROM {image}\nLABEL built=again\n")
    healthy.finds("docker-outdated", "warn", "api", "older sources", "jeex up")
    healthy.doctor("--only", "docker-outdated", "--fix", "--yes")
    healthy.cli.run("wait")
    healthy.is_well()
    assert docker("inspect", "--format", "{{.Config.Labels.built}}", container(healthy.cli, "api")).stdout.strip() == "again"


def test_images_that_newer_builds_have_replaced(healthy: Patient) -> None:
    ids = []
    try:
        for text in ("one", "two", "three"):
            described = f"FROM redis:8.2\nLABEL {LABEL}={text}-of-a-test\n"
            ids.append(docker("build", "--quiet", "-", input=described).stdout.strip())
            if len(ids) == 1:  # what a build leaves as a rule
                assert healthy.doctor("--only", "docker-old-images")["docker-old-images"]["level"] == "ok"
        used = docker("create", ids[0]).stdout.strip()
        try:
            assert healthy.doctor("--only", "docker-old-images")["docker-old-images"]["level"] == "ok"
        finally:
            docker("rm", "--volumes", used)
        healthy.finds("docker-old-images", "warn", "3 images", "docker image rm ", *(one[7:19] for one in ids))
        healthy.fixes("docker-old-images")
        assert [one for one in ids if docker("image", "inspect", one, check=False).returncode == 0] == []
    finally:
        docker("image", "rm", "--force", *ids, check=False)


def test_an_image_that_is_gone(healthy: Patient) -> None:
    healthy.cli.extra["JEEX_REDIS_VERSION"] = "8.2-gone"
    docker("tag", "redis:8.2", "redis:8.2-gone")
    assert healthy.doctor("--only", "docker-images")["docker-images"]["level"] == "ok"
    docker("image", "rm", "redis:8.2-gone")
    healthy.finds("docker-images", "warn", "1 of the stack's images is gone", "redis:8.2-gone", "jeex up")
    del healthy.cli.extra["JEEX_REDIS_VERSION"]
    healthy.is_well()


@root_only
@pytest.mark.parametrize(("size", "level"), [("200M", "fail"), ("1500M", "warn")])
def test_a_disk_of_the_engine_that_is_full(healthy: Patient, size: str, level: str) -> None:
    folder = docker("info", "--format", "{{.DockerRootDir}}").stdout.strip()
    if not Path(folder).is_dir():
        pytest.skip("the engine's folder is not on this machine")
    program = healthy.cli.program
    in_namespace(healthy.cli, f"mount -t tmpfs -o size={size} none '{folder}'")
    healthy.finds("docker-disk", level, "MB are free on the Docker engine's disk", folder, "docker image prune")
    healthy.cli.program = program
    healthy.is_well()


def memory(cli: Cli, service: str) -> tuple[int, int, int]:
    """Bytes: what the kernel counts, what of that doctor counts, and the limit."""
    client = compose_report_client()
    try:
        stats = client.api.stats(container(cli, service), stream=False, one_shot=True)
    finally:
        client.close()
    counted = stats["memory_stats"]
    return counted["usage"], compose_report._memory(stats), counted["limit"]


def compose_report_client() -> DockerClient:
    return engine.connect({"HOME": "/nowhere", "PATH": "/nowhere"})


def test_a_container_that_is_full_of_what_it_needs_and_not_of_files(healthy: Patient) -> None:
    redis, worker = container(healthy.cli, "redis"), container(healthy.cli, "worker")
    # Written once and read twice: for the kernel that is a file in use.
    docker("exec", redis, "sh", "-c", "dd if=/dev/zero of=/data/big bs=1M count=600; cat /data/big /data/big > /dev/null")
    counted, _, limit = memory(healthy.cli, "redis")
    assert counted > 0.9 * limit
    assert healthy.doctor("--only", "docker-limits")["docker-limits"]["level"] == "ok"
    docker("exec", redis, "rm", "/data/big")

    _, needed, limit = memory(healthy.cli, "worker")
    keep = f"import time; x = b'1' * {int(0.95 * limit) - needed - 8 * 10**6}; time.sleep(100)"
    docker("exec", "--detach", worker, "python", "-c", keep)
    until(lambda: memory(healthy.cli, "worker")[1] > 0.9 * limit, seconds=10)
    healthy.finds("docker-limits", "warn", "almost all of its memory", "limits.memory of worker", "of 536 MB")
    healthy.fixes("docker-limits")


def test_a_server_that_the_network_can_reach(healthy: Patient, tmp_path: Path) -> None:
    # As plain `docker compose up` makes it where there is a compose.override.yaml.
    override = tmp_path / "compose.override.yaml"
    override.write_text(
        f"services: {{redis: {{ports: !override ['0.0.0.0:{healthy.cli.ports['REDIS']}:6379']}}}}", encoding="utf-8"
    )
    files = ("-f", str(ROOT / "compose.yaml"), "-f", str(override), "--project-directory", str(ROOT))
    env_file = ("--env-file", str(healthy.cli.folder / ".env"))
    docker("compose", *files, *env_file, "up", "--detach", "--no-deps", "--wait", "redis", env=healthy.cli.env)
    one = healthy.finds("docker-published", "fail", "published on 0.0.0.0:", "127.0.0.1", also=("port-exposed",))
    assert one["repair"] == "jeex up"
    healthy.fixes("docker-published")


@root_only
def test_a_healthy_stack_of_an_ordinary_user_who_may_talk_to_the_engine(image: str) -> None:
    with tempfile.TemporaryDirectory(prefix="jeex-docker-", dir="/tmp") as folder:  # pytest's own is closed to others
        Path(folder).chmod(0o755)
        of_an_ordinary_user(image, Path(folder))


def of_an_ordinary_user(image: str, place: Path) -> None:
    group = Path(ENGINE).stat().st_gid
    if not all(part.stat().st_mode & 0o001 for part in (ROOT, *ROOT.parents)) or not group:
        pytest.skip("other users cannot enter this checkout, or the engine's socket has no group of its own")
    cli = make_cli(place / "user")
    cli.runtime = "compose"
    cli.extra["JEEX_SERVICE_IMAGE"] = image
    for path in (place / "user", cli.folder, cli.home):
        os.chown(path, NOBODY, NOBODY)
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={group}")
    cli.program = (*with_this_python(place), *become, sys.executable, "-m", "jeex_cli")
    for patient in examined(cli, up=True):
        assert patient.cli.json("doctor")["seconds"] < 3
        # Without the group.
        program = cli.program
        cli.program = tuple("--clear-groups" if one.startswith("--groups") else one for one in program)
        one = patient.doctor("--only", "docker-permission")["docker-permission"]
        cli.program = program
        assert (one["level"], one["fix"].split(";")[0]) == ("fail", "sudo usermod -aG docker $USER, then sign in again")
        assert f"{ENGINE} belongs to " in one["evidence"][0]
        assert "mode 0660" in one["evidence"][0]
    assert cli.containers() == []
