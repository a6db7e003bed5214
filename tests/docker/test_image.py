"""The service's image: what is in it, when it is built, and what is said when it cannot be."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jeex_cli import __version__
from jeex_cli.errors import NotReady, TimedOut
from jeex_cli.events import Step
from jeex_cli.project import Project
from jeex_cli.runtimes import compose_image, engine
from tests.docker.stack import ROOT, docker
from tests.integration.service.machine import until

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.whole_engine, pytest.mark.timeout(300)]

SITE = "/venv/lib/python3.*/site-packages"


@dataclass
class Builder:
    """Builds images of a repository of its own, under a name of its own."""

    client: DockerClient
    project: Project
    image: str
    python: str
    steps: list[Step] = field(default_factory=list)

    @property
    def id(self) -> str:
        return docker("image", "inspect", "--format", "{{.Id}}", self.image, check=False).stdout.strip()

    def ensure(self, *, image: str = "", python: str = "", timeout: float = 120) -> bool:
        self.steps.clear()
        variables = {**os.environ, "JEEX_PYTHON_IMAGE": python or self.python}
        return compose_image.ensure(
            self.client, self.project, image or self.image, variables, self.steps.append, timeout=timeout
        )

    def change(self, name: str, text: str = "\n# changed\n") -> None:
        with (self.project.root / name).open("a") as file:
            file.write(text)


@pytest.fixture
def builder(image: str, python_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    """`image` is there, so that the layers of dependencies are in the builder's cache."""
    repository = tmp_path / "repository"
    for name, path in compose_image.sources(Project(ROOT)).items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, repository / name)
    (repository / "service" / "of_this_test.py").write_text(f"# {time.time_ns()}\n")  # no other image is the same
    name = f"jeex-service:own-{os.getpid()}"
    monkeypatch.setattr(compose_image, "IMAGE", name)
    client = engine.connect(os.environ)
    yield Builder(client, Project(repository), name, python_image)
    docker("image", "rm", "--force", name, check=False)
    client.close()


def inside(image: str, script: str, *options: str) -> str:
    """What a shell in the image prints, as compose.yaml lets the service run."""
    hardened = ("--read-only", "--tmpfs=/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    return docker("run", "--rm", "--network", "none", *hardened, *options, image, "sh", "-ec", script).stdout


def test_the_image_runs_without_rights_and_carries_nothing_of_the_command_line(image: str) -> None:
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert (config["User"], config["Cmd"]) == ("65532:65532", ["python", "-m", "service", "api"])
    assert "8000" in config["Healthcheck"]["Test"][-1] and "/ready" in config["Healthcheck"]["Test"][-1]
    said = inside(image, f"id -u; id -g; ls {SITE} /app")
    names = said.split()
    assert names[:2] == ["65532", "65532"]
    assert {"fastapi", "asyncpg", "hvac", "service", "migrations"} <= set(names)
    assert not {"typer", "rich", "yaml", "docker", "python_on_whales", "psutil", "jeex_cli", "pip", "setuptools"} & set(
        names
    )
    assert inside(image, "find /venv /app ! -type l ! -perm -o=r; find /venv /app ! -type l -writable") == ""
    assert inside(image, f"find {SITE} -name tests -o -name '*.c' -o -name '*.pyi'; find /app -name 'Dockerfile*'") == ""


def test_every_process_starts_from_bytecode_on_a_file_system_that_it_cannot_write(image: str) -> None:
    modules = ", ".join(f"service.commands.{name}" for name in ("api", "frontend", "migrate", "seed", "worker"))
    script = f"import {modules}, redis.asyncio, importlib.metadata as m; print(m.version('jeex'))"
    said = inside(
        image,
        f"""
        python -v -c "{script}" 2>/tmp/said
        grep -c "code object from '/venv/.*[.]pyc'" /tmp/said
        grep -c "code object from /" /tmp/said || true
    """,
    )
    version, ready, compiled_anew = said.split()
    assert int(ready) > 300 and compiled_anew == "0"
    assert version == __version__
    refused = docker("run", "--rm", image, "python", "-m", "service", "migrate", check=False)
    assert refused.returncode == 3 and "is missing" in refused.stderr


def test_compose_and_jeex_send_the_same_files_to_the_builder(builder: Builder, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    shutil.copy(ROOT / "service" / "Dockerfile.dockerignore", tmp_path / "Dockerfile.dockerignore")
    sent = tmp_path / "sent"
    docker("build", "--quiet", "--file", str(dockerfile), "--output", str(sent), str(ROOT))
    found = {path.relative_to(sent).as_posix() for path in sent.rglob("*") if path.is_file()}
    assert found == compose_image.sources(Project(ROOT)).keys()

    given = {"JEEX_PYTHON_IMAGE": builder.python, "JEEX_SERVICE_IMAGE": builder.image}
    docker("compose", "build", "--quiet", "api", cwd=ROOT, env={**os.environ, **given})
    assert builder.id != ""


def test_it_is_built_once_and_again_when_its_sources_change(builder: Builder) -> None:
    for path in builder.project.root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)  # checked out by somebody with umask 077
    assert builder.ensure() is True
    assert [(step.id, step.status) for step in builder.steps] == [("image", "running"), ("image", "done")]
    first = builder.id
    assert "usage" in docker("run", "--rm", builder.image, "python", "-m", "service", check=False).stderr
    assert builder.ensure() is False
    assert builder.steps == []

    builder.change("service/__main__.py")
    assert builder.ensure() is True
    assert builder.id != first
    assert docker("image", "inspect", first, check=False).returncode != 0  # nobody needs it any more
    layers = [json.loads(docker("image", "inspect", one).stdout)[0]["RootFS"]["Layers"] for one in (builder.image,)]
    builder.change("service/__main__.py")
    assert builder.ensure() is True
    layers += [json.loads(docker("image", "inspect", builder.image).stdout)[0]["RootFS"]["Layers"]]
    assert layers[0][:-1] == layers[1][:-1]  # the dependencies are the same: the last layer alone is another
    assert not (builder.project.folder / "image").exists()


def test_an_image_in_use_stays_until_it_is_not(builder: Builder) -> None:
    builder.ensure()
    old = builder.id
    container = docker("run", "--detach", builder.image, "sleep", "60").stdout.strip()
    try:
        builder.change("service/__main__.py")
        assert builder.ensure() is True
        assert docker("image", "inspect", old, check=False).returncode == 0
    finally:
        docker("rm", "--force", "--volumes", container)
    builder.change("service/__main__.py")
    builder.ensure()
    assert docker("image", "inspect", old, check=False).returncode != 0


def test_an_image_that_the_user_named_is_never_built(builder: Builder, image: str) -> None:
    assert builder.ensure(image=image) is False
    with pytest.raises(NotReady, match=r"JEEX_SERVICE_IMAGE names example\.invalid/jeex:1") as missing:
        builder.ensure(image="example.invalid/jeex:1")
    assert missing.value.code == "IMAGE_MISSING"
    assert builder.steps == [] and builder.id == ""


def test_a_base_that_cannot_be_pulled_and_a_step_that_fails_are_told(builder: Builder) -> None:
    with pytest.raises(NotReady) as missing:
        builder.ensure(python="example.invalid/python:3.13-slim")
    assert missing.value.code == "IMAGE_MISSING"
    assert "example.invalid/python:3.13-slim" in missing.value.message and "--runtime embedded" in missing.value.hint
    assert [step.status for step in builder.steps] == ["running", "failed"]

    builder.change("service/Dockerfile", "RUN echo it went so far && echo then it did not && false\n")
    with pytest.raises(NotReady) as broken:
        builder.ensure()
    assert (broken.value.code, broken.value.detail) == ("IMAGE_BUILD", "it went so far\nthen it did not")
    assert builder.id == "" and not (builder.project.folder / "image").exists()


def sleeping() -> list[str]:
    """Processes of a build that is to last for an hour."""
    found = []
    for line in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines():
        if "sleep 3611" in line and "ps -eo" not in line:
            found.append(line)
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at this machine's processes")
def test_time_that_is_up_and_ctrl_c_leave_nothing(builder: Builder, tmp_path: Path) -> None:
    builder.change("service/Dockerfile", "RUN sleep 3611\n")
    with pytest.raises(TimedOut):
        builder.ensure(timeout=4)
    until(lambda: not sleeping(), seconds=10)
    script = (
        "import os\nfrom pathlib import Path\nfrom jeex_cli.project import Project\n"
        "from jeex_cli.runtimes import compose_image, engine\n"
        f"compose_image.IMAGE = {builder.image!r}\n"
        f"compose_image.ensure(engine.connect(os.environ), Project(Path({str(builder.project.root)!r})), {builder.image!r},"
        f" {{**os.environ, 'JEEX_PYTHON_IMAGE': {builder.python!r}}}, print, timeout=100)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: bool(sleeping()), seconds=30)
    assert (builder.project.folder / "image").exists()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    assert time.monotonic() - began < 15
    until(lambda: not sleeping(), seconds=10)
    assert not (builder.project.folder / "image").exists()
    assert builder.id == ""


def test_an_installed_wheel_builds_the_image_out_of_itself(builder: Builder, tmp_path: Path) -> None:
    source = tmp_path / "source"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True)
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    site = next((tmp_path / "venv").glob("lib/python3.*/site-packages"))
    (site / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv"), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, str(next(tmp_path.glob("jeex-*.whl")))], check=True)

    project = tmp_path / "project"
    project.mkdir()
    script = (
        "import json, os\nfrom pathlib import Path\nfrom jeex_cli.project import Project\n"
        "from jeex_cli.runtimes import compose_image, engine\n"
        f"compose_image.IMAGE, project = {builder.image!r}, Project(Path({str(project)!r}))\n"
        f"variables = {{**os.environ, 'JEEX_PYTHON_IMAGE': {builder.python!r}}}\n"
        "built = [compose_image.ensure(engine.connect(os.environ), project, compose_image.IMAGE, variables,"
        " lambda step: None, timeout=100) for _ in range(2)]\n"
        "print(json.dumps([built, {name: str(path) for name, path in compose_image.sources(project).items()}]))\n"
    )
    ran = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-c", script], cwd=project, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    built, files = json.loads(ran.stdout)
    assert built == [True, False]
    assert files.keys() == compose_image.sources(Project(ROOT)).keys()
    assert all(path.startswith(str(site)) for path in files.values())
    # The same files make the same image, wherever they come from.
    assert (
        compose_image.digest(compose_image.sources(Project(ROOT)), builder.python)
        == docker(
            "image", "inspect", "--format", f'{{{{index .Config.Labels "{compose_image.LABEL}"}}}}', builder.image
        ).stdout.strip()
    )
