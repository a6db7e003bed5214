"""jeex with Docker against Docker Compose alone: the same file, the same images, the same engine, in turns."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.timing import Row, show
from tests.docker.stack import ROOT, Stack, docker
from tests.e2e.conftest import JEEX

_RUNS = 5
_LOOKS = 15
_PYTHONS = ("python:3.13-slim", "python:3.12-slim", "python:3.11-slim")


def main() -> None:
    """Print `up` from nothing running, data and images there, and `status` of a running stack."""
    python = next((one for one in _PYTHONS if docker("image", "inspect", one, check=False).returncode == 0), None)
    if python is None:
        print("\nDocker: no engine, or no image of Python; left out")
        return
    tag = "jeex-service:bench"
    docker(
        *("build", "--quiet", "--file", str(ROOT / "service" / "Dockerfile"), "--build-arg", f"PYTHON_IMAGE={python}"),
        *("--tag", tag, str(ROOT)),
    )
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        stack = Stack(Path(folder) / "stack", tag)
        stack.make()
        try:
            _measure(stack)
        finally:
            stack.remove()
            docker("image", "rm", "--force", tag, check=False)


def _measure(stack: Stack) -> None:
    def jeex(*arguments: str) -> None:
        subprocess.run(
            [str(JEEX), "--project", str(stack.folder), *arguments],
            env={**stack.environ, "JEEX_RUNTIME": "compose"},
            check=True,
            capture_output=True,
        )

    stack.up()
    times: dict[str, list[float]] = {name: [] for name in ("jeex up", "compose up", "jeex status", "compose ps")}
    for _ in range(_RUNS):
        for name, work in (("jeex up", lambda: jeex("up")), ("compose up", stack.up)):
            stack.down()
            times[name].append(_timed(work))
    for _ in range(_LOOKS):
        times["jeex status"].append(_timed(lambda: jeex("status", "--json")))
        times["compose ps"].append(_timed(lambda: stack.compose("ps", "--all", "--format", "json")))
    median = {name: statistics.median(found) for name, found in times.items()}
    show(
        f"With Docker (medians of {_RUNS} and {_LOOKS} runs in turns; bare: Docker Compose)",
        [
            Row("jeex up", median["jeex up"], median["compose up"], 1.15),
            Row("jeex status", median["jeex status"], median["compose ps"], 1.5),
        ],
    )


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
