"""A Docker engine for tests marked `docker`, where one answers and has the images: nothing is pulled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.docker.stack import ROOT, docker

IMAGES = ("postgres:18", "redis:8.2", "openbao/openbao:2.7", "hashicorp/vault:1.20")
PYTHONS = ("python:3.13-slim", "python:3.12-slim", "python:3.11-slim")


@pytest.fixture(scope="session")
def python_image() -> str:
    """What the service's image is made of here. Skips where there is no engine, or not all of the images."""
    if shutil.which("docker") is None:
        pytest.skip("no docker program")
    if docker("version", "--format", "{{.Server.Version}}", check=False, timeout=20).returncode:
        pytest.skip("no Docker engine answers")
    if docker("compose", "version", check=False, timeout=20).returncode:
        pytest.skip("docker has no compose")
    missing = [one for one in IMAGES if not _is_there(one)]
    if missing:
        pytest.skip(f"images are missing, and tests pull none: {', '.join(missing)}")
    found = next((one for one in PYTHONS if _is_there(one)), None)
    if found is None:
        pytest.skip(f"an image is missing, and tests pull none: {PYTHONS[0]}")
    return found


def _is_there(image: str) -> bool:
    return docker("image", "inspect", image, check=False).returncode == 0


@pytest.fixture(scope="session")
def image(python_image: str) -> Iterator[str]:
    """The service's image, of the tree as it is."""
    tag = f"jeex-service:test-{os.getpid()}"
    docker(
        *("build", "--quiet", "--file", str(ROOT / "service" / "Dockerfile"), "--build-arg", f"PYTHON_IMAGE={python_image}"),
        *("--tag", tag, str(ROOT)),
    )
    yield tag
    docker("image", "rm", "--force", tag, check=False)
