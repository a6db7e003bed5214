"""The Docker engine: finding it, what is wrong where it cannot be used, and what it knows of a project's containers.

The docker SDK is imported here and in its neighbours (compose*.py), when it is needed and not before.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeex_cli import proc
from jeex_cli.errors import NotReady, TimedOut
from jeex_cli.runtimes import engine_socket

if TYPE_CHECKING:
    from docker import DockerClient

PROJECT, SERVICE, ONE_OFF = "com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.oneoff"
WITHOUT = "jeex up --runtime embedded runs the same stack without Docker"
_SOCKET = Path("/var/run/docker.sock")
_TIMEOUT = 20  # seconds for one answer
_COMPOSE = (2, 24)  # configs with `content`, and `start_interval`
_MEMORY = 2 * 1000**3  # bytes; what the stack's limits allow is more, what it uses at first is a third of this
_NEVER = "0001-01-01T00:00:00Z"  # how the engine writes that something has not happened


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a service. Times are in seconds since the epoch, None for what has not happened.

    `health` is "" where it has no healthcheck; `said` is what the last one printed. `restarts` counts those by the engine.
    """

    id: str
    service: str
    state: str
    health: str
    said: str
    started: float | None
    finished: float | None
    exit_code: int
    restarts: int
    pid: int
    ports: frozenset[int]
    error: str


def may_be_there(environ: Mapping[str, str]) -> bool:
    """Whether there is any sign of an engine; costs nothing."""
    return bool(environ.get("DOCKER_HOST")) or _SOCKET.exists() or (_config(environ) / "contexts").exists()


def connect(environ: Mapping[str, str], *, timeout: float = _TIMEOUT) -> DockerClient:
    """A client of the engine that `docker` uses, which answers. Raises NotReady."""
    import docker
    import requests
    from docker.errors import DockerException

    try:
        # No version is understood by every engine: old ones know no new one, new ones refuse old ones.
        return docker.DockerClient(base_url=_address(environ), version="auto", timeout=timeout)
    except (DockerException, requests.RequestException, OSError) as error:
        raise unusable(error, environ) from error


def check(client: DockerClient) -> None:
    """Raise NotReady for what keeps the stack from running in this engine; change nothing."""
    version, info = client.version(), client.info()
    if any("podman" in str(one.get("Name", "")).lower() for one in version.get("Components", ())):
        raise NotReady(
            "DOCKER_HOST leads to Podman, in which this stack does not start: it needs Docker's engine",
            code="PODMAN",
            detail="Podman's Docker API knows no health conditions between services.",
            hint=f"unset DOCKER_HOST, or: {WITHOUT}",
        )
    if info.get("OSType", "linux") != "linux":
        raise NotReady(
            "the Docker engine runs Windows containers", code="ENGINE_WINDOWS", hint="switch it to Linux containers"
        )
    memory = int(info.get("MemTotal", _MEMORY))
    if memory < _MEMORY:
        raise NotReady(
            f"the Docker engine has {memory / 1000**3:.1f} GB of memory; the stack needs {_MEMORY / 1000**3:.0f}",
            code="ENGINE_MEMORY",
            hint=f"in Docker Desktop: Settings, Resources, Memory; or: {WITHOUT}",
        )


def compose_version(environ: Mapping[str, str], *, timeout: float = 20) -> tuple[int, int]:
    """The version of Docker Compose, as (major, minor). Raises NotReady where it is missing, too old, or says nothing
    within `timeout` seconds."""
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise NotReady(
            "there is no `docker` program", code="DOCKER_MISSING", hint=f"install Docker with Compose, or: {WITHOUT}"
        )
    argv = ["docker", "compose", "version", "--short"]
    try:
        said = proc.run(argv, env=dict(environ), cwd=Path("/"), timeout=timeout)
    except TimedOut as error:
        raise NotReady(
            f"`{' '.join(argv)}` says nothing for {timeout:g} s", code="COMPOSE_MUTE", hint=f"run it by hand; or: {WITHOUT}"
        ) from error
    found = re.match(r"v?(\d+)\.(\d+)", said.stdout.strip())
    if said.returncode or found is None:
        raise NotReady(
            "`docker` has no Compose", code="COMPOSE_MISSING", hint=f"install docker-compose-plugin, or: {WITHOUT}"
        )
    version = (int(found[1]), int(found[2]))
    if version < _COMPOSE:
        raise NotReady(
            f"Docker Compose is {found[0]}; the stack needs {_COMPOSE[0]}.{_COMPOSE[1]} or newer",
            code="COMPOSE_OLD",
            hint=f"update docker-compose-plugin, or: {WITHOUT}",
        )
    return version


def unusable(error: Exception, environ: Mapping[str, str]) -> NotReady:
    """What it means that the engine could not be asked."""
    where = environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return NotReady(
            f"this user may not talk to the Docker engine at {where}",
            code="ENGINE_PERMISSION",
            hint=f"sudo usermod -aG docker {environ.get('USER') or '$USER'}, then sign in again; or: {WITHOUT}",
        )
    return NotReady(
        f"no Docker engine answers at {where}",
        code="ENGINE_DOWN",
        detail=text.splitlines()[0][:200] if text else type(error).__name__,
        hint=f"start it (Docker Desktop, or: sudo systemctl start docker); or: {WITHOUT}",
    )


def is_local(environ: Mapping[str, str]) -> bool:
    """Whether the engine is asked at a socket of this machine; it may still be in a virtual machine behind that."""
    return _address(environ).startswith("unix://")


def who_may(environ: Mapping[str, str]) -> str:
    """Who may open the engine's socket, and who asks; "" where there is no socket, or it cannot be seen."""
    return engine_socket.who_may(_address(environ).removeprefix("unix://")) if is_local(environ) else ""


def publishing(environ: Mapping[str, str]) -> dict[int, tuple[str, str]]:
    """The running containers that publish a port of this machine: name and Compose project ("" where it has none), by port.

    Raises NotReady where the engine does not answer. Asked at its socket alone, for this is about ports, not about Docker.
    """
    address = _address(environ)
    if not address.startswith("unix://"):
        return {}
    try:
        found = engine_socket.running(address.removeprefix("unix://"))
    except OSError as error:
        raise unusable(error, environ) from error
    return {
        int(port["PublicPort"]): (one["Names"][0].lstrip("/"), (one.get("Labels") or {}).get(PROJECT, ""))
        for one in found
        for port in one.get("Ports") or ()
        if port.get("PublicPort") and one.get("Names")
    }


def remove(environ: Mapping[str, str], name: str) -> None:
    """Stop and remove a container. Raises NotReady where the engine does not."""
    import requests
    from docker.errors import DockerException, NotFound

    try:
        connect(environ).api.remove_container(name, force=True)
    except NotFound:
        return
    except (DockerException, requests.RequestException, OSError) as error:
        raise unusable(error, environ) from error


def containers(client: Callable[[], DockerClient], environ: Mapping[str, str], project: str) -> dict[str, Container]:
    """The containers of a project by service, one-off ones left out. `client` is made where there is no socket to ask at.

    Raises NotReady where the engine does not answer.
    """
    labels = [f"{PROJECT}={project}", f"{ONE_OFF}=False"]
    address = _address(environ)
    if address.startswith("unix://"):
        try:
            found = engine_socket.inspected(address.removeprefix("unix://"), labels)
        except OSError as error:
            raise unusable(error, environ) from error
    else:
        found = _through_sdk(client(), environ, labels)
    looked = [_container(one) for one in found]
    return {one.service: one for one in sorted(looked, key=lambda one: one.started or 0)}


def _through_sdk(client: DockerClient, environ: Mapping[str, str], labels: list[str]) -> list[dict[str, Any]]:
    import requests
    from docker.errors import DockerException, NotFound

    found = []
    try:
        for one in client.api.containers(all=True, filters={"label": labels}):
            try:
                found.append(client.api.inspect_container(one["Id"]))
            except NotFound:
                continue  # it went away meanwhile
    except (DockerException, requests.RequestException, OSError) as error:
        raise unusable(error, environ) from error
    return found


def _container(found: Mapping[str, Any]) -> Container:
    state = found["State"]
    health = state.get("Health") or {}
    log = health.get("Log") or []
    bindings = (found.get("HostConfig", {}).get("PortBindings") or {}).values()
    return Container(
        id=found["Id"],
        service=found["Config"]["Labels"].get(SERVICE, ""),
        state=state["Status"],
        health=health.get("Status", ""),
        said=str(log[-1].get("Output", "")).strip() if log else "",
        started=_moment(state.get("StartedAt")),
        finished=_moment(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode", 0)),
        restarts=int(found.get("RestartCount", 0)),
        pid=int(state.get("Pid", 0)),
        ports=frozenset(int(one["HostPort"]) for some in bindings for one in some or () if one.get("HostPort")),
        error=str(state.get("Error", "")),
    )


def _moment(text: str | None) -> float | None:
    return None if not text or text == _NEVER else datetime.fromisoformat(text).timestamp()


def _address(environ: Mapping[str, str]) -> str:
    """As the docker program finds it: DOCKER_HOST, else the context that was chosen, else the socket."""
    if host := environ.get("DOCKER_HOST"):
        return host
    if (_config(environ) / "contexts").exists():
        from docker.context import ContextAPI

        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT") or None)
        if context is not None and context.Host:
            return str(context.Host)
    return f"unix://{_SOCKET}"


def _config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/")) / ".docker")
