"""What the service's image is made of, and what it means when it cannot be made."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from jeex_cli import stack
from jeex_cli.project import Project
from jeex_cli.runtimes import compose_image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    """A repository of jeex, as far as the image is concerned."""
    for name, path in compose_image.sources(Project(ROOT)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / name)
    return Project(tmp_path)


def digest(project: Project, python: str = "python:3") -> str:
    return compose_image.digest(compose_image.sources(project), python)


def test_sources_are_the_service_and_what_installs_it(repository: Project) -> None:
    (repository.root / "service" / "__pycache__").mkdir()
    (repository.root / "service" / "__pycache__" / "x.cpython-311.pyc").touch()
    (repository.root / "jeex_cli" / "cli.py").touch()
    (repository.root / ".env").write_text("secret")
    found = compose_image.sources(repository)
    assert {name.split("/")[0] for name in found} == {
        *("constraints.txt", "pyproject.toml", "service", "migrations", "jeex_cli"),
    }
    assert [name for name in found if name.startswith("jeex_cli")] == ["jeex_cli/__init__.py"]
    assert {"service/Dockerfile", "service/__main__.py", "service/services/policies/jeex-api.hcl"} <= found.keys()
    assert {"migrations/alembic.ini", "service/api/static/docs.html"} <= found.keys()
    assert not any(name.endswith(".pyc") for name in found)
    assert all(path.is_relative_to(repository.root) for path in found.values())


def test_a_project_that_is_no_repository_has_the_image_of_the_jeex_that_runs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'theirs'\n")
    assert compose_image.sources(Project(tmp_path)) == compose_image.sources(Project(ROOT))


def test_the_digest_tells_names_contents_and_the_base_apart(repository: Project, tmp_path: Path) -> None:
    before = digest(repository)
    assert digest(repository) == before
    assert digest(repository, "python:4") != before
    seen = {before}
    for name in ("service/__main__.py", "service/Dockerfile", "migrations/alembic.ini", "constraints.txt", "pyproject.toml"):
        with (repository.root / name).open("a") as file:
            file.write("\n")
        seen.add(digest(repository))
    (repository.root / "service" / "new.py").touch()
    seen.add(digest(repository))
    (repository.root / "service" / "new.py").rename(repository.root / "service" / "newer.py")
    seen.add(digest(repository))
    assert len(seen) == 8
    (repository.root / "jeex_cli" / "cli.py").write_text("print()")
    assert digest(repository) in seen  # the command line is not in it


def test_what_is_built_is_copied_and_gone_afterwards(repository: Project) -> None:
    files = compose_image.sources(repository)
    left = repository.folder / "image" / "left by a jeex that was killed"
    left.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), compose_image.context(repository, files) as folder:
        copied = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        assert copied.keys() == files.keys()
        assert compose_image.digest(copied, "x") == compose_image.digest(files, "x")
        assert folder.stat().st_mode & 0o777 == 0o700
        raise KeyboardInterrupt
    assert not folder.exists()


def test_names_are_those_of_compose_and_of_the_dockerfile() -> None:
    defaults = stack.variables(ROOT / "compose.yaml")
    assert defaults["JEEX_SERVICE_IMAGE"] == compose_image.IMAGE
    assert defaults["JEEX_PYTHON_IMAGE"] == compose_image.PYTHON_IMAGE
    assert f"ARG PYTHON_IMAGE={compose_image.PYTHON_IMAGE}\n" in (ROOT / compose_image.DOCKERFILE).read_text()


def test_what_the_image_goes_without_is_a_dependency_that_the_service_does_not_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {re.match(r"[a-z0-9-]+", one)[0] for one in project["project"]["dependencies"]}  # type: ignore[index]
    left_out = set(project["tool"]["jeex"]["not-in-image"])
    assert left_out <= names
    modules = "|".join({"pyyaml": "yaml"}.get(one, one.replace("-", "_")) for one in left_out)
    for folder in ("service", "migrations"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(rf"^\s*(import|from) ({modules})\b", path.read_text(), re.MULTILINE), path


OFFLINE = """\
#2 [internal] load metadata for docker.io/library/python:3.13-slim
#2 ERROR: failed to do request: Head "https://registry/v2/library/python/manifests/3.13-slim": no such host
------
 > [internal] load metadata for docker.io/library/python:3.13-slim:
------
ERROR: failed to build: failed to solve: python:3.13-slim: failed to resolve source metadata for \
docker.io/library/python:3.13-slim: failed to do request: Head "https://registry/v2/library/python": no such host
"""
BROKEN = """\
#14 [dependencies 5/5] RUN pip install nothing
#14 0.900 Collecting nothing
#14 ERROR: process "/bin/sh -c pip install nothing" did not complete successfully: exit code: 1
------
 > [dependencies 5/5] RUN pip install nothing:
0.900 Collecting nothing
0.950
0.985 ERROR: No matching distribution found for nothing
------
Dockerfile:19
--------------------
  19 | >>> RUN pip install nothing
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c pip install nothing" did not complete successfully
"""
ABSENT = """\
#5 [source 4/6] COPY nothing nothing
#5 ERROR: failed to calculate checksum of ref x: "/nothing": not found
------
 > [source 4/6] COPY nothing nothing:
------
ERROR: failed to build: failed to solve: failed to compute cache key: "/nothing": not found
"""


def test_a_base_image_that_cannot_be_pulled_is_named_with_the_way_without_docker() -> None:
    error = compose_image.failure(OFFLINE, "jeex-service:dev", "python:3.13-slim")
    assert (error.code, error.exit_code) == ("IMAGE_MISSING", 3)
    assert "python:3.13-slim" in error.message and error.detail.endswith("no such host")
    assert "jeex up --runtime embedded" in error.hint


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (BROKEN, "Collecting nothing\nERROR: No matching distribution found for nothing"),
        (ABSENT, 'ERROR: failed to build: failed to solve: failed to compute cache key: "/nothing": not found'),
        ("permission denied while trying to connect\n", "permission denied while trying to connect"),
        ("", ""),
    ],
)
def test_the_last_lines_of_the_step_that_failed(said: str, detail: str) -> None:
    error = compose_image.failure(said, "jeex-service:dev", "python:3.13-slim")
    assert (error.code, error.detail) == ("IMAGE_BUILD", detail)


def test_many_lines_are_the_last_few_and_none_is_endless() -> None:
    said = "".join(f"line {number} {'x' * 1000}\n" for number in range(100))
    lines = compose_image.last_lines(said).splitlines()
    assert [line.split()[1] for line in lines] == [str(number) for number in range(92, 100)]
    assert max(map(len, lines)) == 300


@pytest.mark.parametrize(
    "said", ["ERROR: BuildKit is enabled but the buildx component is missing or broken.", "unknown flag: --load"]
)
def test_a_docker_without_its_builder_is_told_what_to_install(said: str) -> None:
    assert "docker-buildx-plugin" in compose_image.failure(said, "a", "b").hint
