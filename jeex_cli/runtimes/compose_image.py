"""The service's image: built where it is missing, or was made of other sources than those that are here.

What goes into it is copied into a folder of its own first: what was hashed is then what is built, whatever an editor does
meanwhile, and a repository and an installed wheel are built in one and the same way. BuildKit keeps the dependencies' layer.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli import proc
from jeex_cli.errors import NotReady, TimedOut
from jeex_cli.events import Report, Step
from jeex_cli.project import Project, bundled, not_writable, private_folder
from jeex_cli.runtimes.engine import WITHOUT

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE = "jeex-service:dev"  # as compose.yaml calls it; one of any other name is the user's
PYTHON_IMAGE = "python:3.13-slim"  # as compose.yaml has it
LABEL = "jeex.source"  # what an image was made of, as `digest` says it
DOCKERFILE = "service/Dockerfile"
_FOLDERS = ("migrations", "service")
_FILES = ("constraints.txt", "pyproject.toml")
_VERSION = "jeex_cli/__init__.py"
_HERE = Path(__file__).parents[2]  # the repository, or where the wheel's packages are installed
_LAST_LINES = 8
_STEP = "image", "Service image"


def ensure(
    engine: DockerClient, project: Project, image: str, variables: Mapping[str, str], report: Report, *, timeout: float
) -> bool:
    """Build `image` unless there is one of these very sources; whether it was built.

    `variables` are the user's environment and settings. An image that the user named is never built. Raises NotReady
    (IMAGE_MISSING where it, or the image that it is made of, cannot be had; IMAGE_BUILD), TimedOut after `timeout` seconds.
    """
    found = _label(engine, image)
    if image != IMAGE:
        if found is None:
            raise NotReady(
                f"JEEX_SERVICE_IMAGE names {image}, which is not here; jeex builds no image but its own",
                code="IMAGE_MISSING",
                hint=f"docker pull {image}, or take JEEX_SERVICE_IMAGE out to have {IMAGE} built; or: {WITHOUT}",
            )
        return False
    python = variables.get("JEEX_PYTHON_IMAGE") or PYTHON_IMAGE
    wanted = sources(project)
    if found == digest(wanted, python):
        return False
    began = time.monotonic()
    report(Step(*_STEP, "running"))
    try:
        with context(project, wanted) as folder:
            label = digest({name: folder / name for name in wanted}, python)
            argv = ["docker", "build", "--load", "--file", str(folder / DOCKERFILE), "--build-arg", f"PYTHON_IMAGE={python}"]
            argv += ["--label", f"{LABEL}={label}", "--tag", image, str(folder)]
            said = _build(argv, variables, timeout=timeout)
        if said:
            raise failure(said, image, python)
    except (NotReady, TimedOut) as error:
        report(Step(*_STEP, "failed", time.monotonic() - began, error.message))
        raise
    report(Step(*_STEP, "done", time.monotonic() - began, "built"))
    _forget_old(engine)
    return True


def sources(project: Project) -> dict[str, Path]:
    """What the image is made of, by path below the repository: the project's where it is one of jeex, else that of the jeex
    that runs."""
    repository = project.root if all((project.root / name).exists() for name in (DOCKERFILE, *_FILES)) else None
    root = repository or _HERE
    found = {name: repository / name if repository else bundled(name) for name in _FILES}
    found[_VERSION] = root / _VERSION
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found[path.relative_to(root).as_posix()] = path
    return dict(sorted(found.items()))


def digest(files: Mapping[str, Path], python: str) -> str:
    """SHA-256 of names and contents, and of the image they are put on."""
    whole = hashlib.sha256(python.encode())
    for name, path in sorted(files.items()):
        whole.update(f"\0{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


@contextmanager
def context(project: Project, files: Mapping[str, Path]) -> Iterator[Path]:
    """A folder of `files`, gone afterwards; what a killed jeex left of one is gone before. The project must be locked.

    It is in the project, for Docker's programs cannot read every system's temporary folder (snap).
    """
    folder = project.folder / "image"
    shutil.rmtree(folder, ignore_errors=True)
    private_folder(folder)
    try:
        try:
            for name, path in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
        except OSError as error:
            raise not_writable(folder, error) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(argv: Sequence[str], variables: Mapping[str, str], *, timeout: float) -> str:
    """Run the builder; what it said where it failed, else "".

    Told to end, by Ctrl-C or for its time is up, it ends whatever it has begun.
    """
    # Attestations hold the time: with them an image that was built of its cache would be another each time.
    own = {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    passed_on = {name: text for name, text in variables.items() if not name.startswith(("JEEX_", "COMPOSE_"))}
    process = proc.start(argv, env={**passed_on, **own, "DOCKER_CLI_HINTS": "false"}, cwd=Path("/"))
    try:
        said = process.wait(timeout)
    except TimeoutError as error:
        raise TimedOut(
            f"the service's image was not built after {timeout:g} s",
            detail="What was done so far is kept: the next attempt goes on from there.",
            hint="jeex up --timeout 600",
        ) from error
    finally:
        process.end()  # asks the builder to stop, and takes it along
    return said if process.code else ""


def failure(said: str, image: str, python: str) -> NotReady:
    """What it means that the builder ended with `said`."""
    last = next((line for line in reversed(said.splitlines()) if line.startswith("ERROR: ")), "")
    if "failed to resolve source metadata" in last or "pull access denied" in last:
        return NotReady(
            f"the image {python}, which the service's is made of, is not here and cannot be pulled",
            code="IMAGE_MISSING",
            detail=last.rpartition("failed to do request: ")[2].removeprefix("ERROR: ")[-300:],
            hint=f"docker pull {python} shows more; another Python image: JEEX_PYTHON_IMAGE; offline: {WITHOUT}",
        )
    if re.search(r"buildx (component )?is missing|unknown flag: --load|'buildx' is not a docker command", said):
        hint = f"install docker-buildx-plugin; or: {WITHOUT}"
    else:
        hint = f"docker compose build shows all of it; without an image: {WITHOUT}"
    return NotReady(f"the image {image} could not be built", code="IMAGE_BUILD", detail=last_lines(said), hint=hint)


def last_lines(said: str, count: int = _LAST_LINES) -> str:
    """The end of what the step that failed has printed, else of everything."""
    blocks = re.findall(r"^------\n > .*:\n(.*?)^------$", said, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"^(#\d+ )?\d+\.\d+( |$)", "", line).rstrip() for line in (blocks[-1] if blocks else said).splitlines()]
    kept = [line for line in lines if line.strip()]
    if not kept:  # the step itself could not be done: a file is missing, a name is wrong
        kept = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    return "\n".join(line[:300] for line in kept[-count:])


def _label(engine: DockerClient, image: str) -> str | None:
    """What `image` was made of, "" where nobody wrote that down; None where there is no such image."""
    from docker.errors import ImageNotFound

    try:
        return str(engine.images.get(image).labels.get(LABEL, ""))
    except ImageNotFound:
        return None


def _forget_old(engine: DockerClient) -> None:
    """Remove images of ours that have lost their name, unless a container is still made of them."""
    from docker.errors import APIError

    for old in engine.images.list(filters={"dangling": True, "label": LABEL}):
        try:
            engine.images.remove(old.id, noprune=False)
        except APIError:
            continue
