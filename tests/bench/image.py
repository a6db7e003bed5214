"""The service's image: its size beside the one it is made of, and how long it takes to build.

Cold is without any layer and without what pip has downloaded before. Bare is to install the same requirements with pip in a
container of the same base, which is what a build cannot do without.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from jeex_cli.events import silent
from jeex_cli.project import Project
from jeex_cli.runtimes import compose_image, engine
from tests.bench.timing import Row, show
from tests.conftest import PYTHONS
from tests.docker.stack import ROOT, docker

RUNS = 3


def main() -> None:
    """Print sizes and times; says so where there is no engine, or no image to begin with."""
    if shutil.which("docker") is None or docker("version", check=False, timeout=20).returncode:
        print("\nThe service's image: no Docker engine answers")
        return
    there = [one for one in PYTHONS if docker("image", "inspect", one, check=False).returncode == 0]
    if not there:
        print(f"\nThe service's image: {PYTHONS[0]} is not here")
        return
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        _measure(Path(folder), there[0])


def _measure(folder: Path, python: str) -> None:
    for name, path in compose_image.sources(Project(ROOT)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    compose_image.IMAGE = f"jeex-service:bench-{os.getpid()}"
    client = engine.connect(os.environ)
    variables = {**os.environ, "JEEX_PYTHON_IMAGE": python}
    dockerfile = folder / compose_image.DOCKERFILE
    # A step of its own at the beginning of each stage, and nothing of what pip has downloaded before.
    text = dockerfile.read_text().replace("--no-compile", "--no-compile --no-cache-dir")
    dockerfile.write_text(re.sub(r"^(FROM .*)$", rf"\1\nRUN : {time.time_ns()}", text, flags=re.MULTILINE))

    def build() -> None:
        compose_image.ensure(client, Project(folder), compose_image.IMAGE, variables, silent, timeout=600)

    def changed(name: str) -> float:
        times = []
        for _ in range(RUNS):
            with (folder / name).open("a") as file:
                file.write(f"# {time.time_ns()}\n")
            times.append(_seconds(build))
        return statistics.median(times)

    try:
        cold = _seconds(build)
        _show_sizes(python)
        bare = _seconds(lambda: _bare(python, folder))
        show(
            f"Building it on {python} (the first once, then medians of {RUNS}; bare: pip installs the same in a container)",
            [
                Row("with nothing there", cold, bare, 2),
                Row("after a change in constraints.txt", changed("constraints.txt"), bare),
                Row("after a change in service/", changed("service/__main__.py"), bare, 0.5),
                Row("nothing has changed", statistics.median(_seconds(build) for _ in range(RUNS)), bare, 0.1),
            ],
        )
    finally:
        docker("image", "rm", "--force", compose_image.IMAGE, check=False)
        client.close()


def _bare(python: str, folder: Path) -> None:
    """Install what the image is made of, with nothing downloaded before."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    left_out = project["tool"]["jeex"]["not-in-image"]
    wanted = [one for one in project["project"]["dependencies"] if not one.startswith(tuple(left_out))]
    install = ("python", "-m", "pip", "install", "--quiet", "--target", "/packages", "--constraint", "/constraints.txt")
    mount = f"{folder / 'constraints.txt'}:/constraints.txt:ro"
    docker("run", "--rm", "--volume", mount, python, *install, *wanted)


def _show_sizes(python: str) -> None:
    def size(image: str) -> int:
        return int(docker("image", "inspect", "--format", "{{.Size}}", image).stdout)

    whole, base = size(compose_image.IMAGE), size(python)
    history = docker("history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", compose_image.IMAGE).stdout
    layers = {line.split()[3]: int(line.split()[0]) for line in history.splitlines() if " COPY /" in line}
    print(f"\nThe service's image: {whole / 1e6:.0f} MB, of which {base / 1e6:.0f} MB are {python}")
    print(f"  dependencies {layers['/venv'] / 1e6:.1f} MB, the service {layers['/app'] / 1e6:.1f} MB")


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
