"""`docker compose up` in a fresh clone, without jeex and without a `.env`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.docker.stack import ONE_SHOT, ROOT, SERVED, SERVICES, Stack, docker
from tests.integration.service.machine import free_port

pytestmark = pytest.mark.docker


def test_a_fresh_clone_ends_healthy(python_image: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    for name in ("compose.yaml", "service/Dockerfile"):  # as they are, committed or not
        (clone / name).write_bytes((ROOT / name).read_bytes())
    one = Stack(clone, f"jeex-service:test-clone-{os.getpid()}")
    free: set[int] = set()
    while len(free) < len(SERVICES):
        free.add(free_port())
    # What the engine of the tests lacks, and what keeps it apart from others; no secret.
    given = {
        "JEEX_PROJECT": f"jeex-test-clone-{os.getpid()}",
        "JEEX_SERVICE_IMAGE": one.image,
        "JEEX_PYTHON_IMAGE": python_image,
        **{f"JEEX_{name}_PORT": str(port) for name, port in zip(SERVICES, free, strict=True)},
    }
    one.variables = given
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **given}

    def compose(*arguments: str) -> None:
        ran = subprocess.run(
            ["docker", "compose", *arguments], cwd=clone, env=environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

    try:
        compose("up", "--detach", "--wait", "--wait-timeout", "100")
        compose("ps", "--all")
        found = docker(
            *("ps", "--all", "--filter", f"label=com.docker.compose.project={given['JEEX_PROJECT']}"),
            *("--format", '{{.Label "com.docker.compose.service"}} {{.State}} {{.Status}}'),
        ).stdout
        states = {line.split()[0]: line for line in found.splitlines()}
        assert set(states) == SERVED | ONE_SHOT
        assert all("(healthy)" in states[name] for name in SERVED), found
        assert all("Exited (0)" in states[name] for name in ONE_SHOT), found
        assert not (clone / ".env").exists()
    finally:
        compose("down", "--timeout", "5", "--volumes", "--remove-orphans")
        docker("image", "rm", "--force", one.image, check=False)
        # Compose builds one a service; all but the last have no name.
        label = f"label=com.docker.compose.project={given['JEEX_PROJECT']}"
        left = docker("image", "ls", "--quiet", "--filter", label).stdout.split()
        if left:
            docker("image", "rm", "--force", *left, check=False)
