"""The project's volumes in the engine: whose they are, how big, and whether their services can work with what is in them.

Nothing here changes a volume.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jeex_cli.errors import DataError
from jeex_cli.runtimes import compose_look, volume_findings
from jeex_cli.runtimes import engine as docker_engine
from jeex_cli.runtimes.base import Volume
from jeex_cli.stack import HOST, Service, Stack

if TYPE_CHECKING:
    from docker import DockerClient

VOLUME = "com.docker.compose.volume"
OWNER = "jeex.service"  # the label that says whose a volume is
_PGDATA = "/var/lib/postgresql"  # where PostgreSQL's volume is mounted
_TIMEOUT = 3.0  # seconds for PostgreSQL to say whether a password is right
_SIZES = 60  # seconds for the engine to count all volumes
_POSTGRES = "postgres-data"

# Volumes that jeex looks into: whose each is, and the user that works in it. A test compares with compose.yaml. Of what is
# handed over nothing is lost: whoever cannot read it says so, and is given another.
KNOWN: Mapping[str, tuple[str, str]] = {_POSTGRES: ("postgres", "postgres"), "redis-data": ("redis", "redis")}


@dataclass(frozen=True, slots=True)
class _Found:
    """One of the project's volumes. `key` is its name in compose.yaml; `service` that it is of, "" where nobody says."""

    name: str
    key: str
    service: str
    made: float | None
    used_by: tuple[Mapping[str, Any], ...]  # containers, as the engine lists them

    def runs(self, service: Service) -> Mapping[str, Any] | None:
        """Its service's container, where one runs that was made of the image that is asked for: it has proved the volume."""
        return next(
            (
                one
                for one in self.used_by
                if one["State"] == "running"
                and one["Image"] == service.image
                and one["Labels"].get(docker_engine.SERVICE) == service.name
            ),
            None,
        )


def volumes(engine: DockerClient, stack: Stack, project_name: str) -> list[Volume]:
    """The project's named volumes, with size and with what is wrong with them. Raises NotReady where no engine answers."""
    with _answering():
        found = _find(engine, project_name)
        wrong = _problems(engine, stack, found, project_name, ask=True)
        sizes = _sizes(engine) if found else {}
    return [
        Volume(one.name, one.service, sizes.get(one.name), one.made, _in_words(wrong.get(one.name)))
        for one in sorted(found, key=lambda one: one.name)
    ]


def check(engine: DockerClient, stack: Stack, project_name: str) -> None:
    """Raise DataError for a volume that its service could not work with.

    Where that runs with the same settings nothing is looked into; where its image is not here yet, nothing can be.
    """
    with _answering():
        found = _find(engine, project_name)
        for error in _problems(engine, stack, found, project_name, ask=False).values():
            raise error


def check_password(engine: DockerClient, stack: Stack, project_name: str) -> None:
    """Raise DataError if the project's PostgreSQL runs and does not accept its superuser's password: nothing else can tell.

    For when a service failed, too: a database made with other passwords lets none of them in.
    """
    with _answering():
        found = [one for one in _find(engine, project_name) if one.key == _POSTGRES]
    for one in found:
        if (error := _password(engine, one, stack)) is not None:
            raise error


def _find(engine: DockerClient, project: str) -> list[_Found]:
    label = {"label": f"{docker_engine.PROJECT}={project}"}
    listed = engine.api.volumes(filters=label)["Volumes"] or []
    if not listed:
        return []
    users = defaultdict(list)
    for container in engine.api.containers(all=True, filters=label):
        for mount in container.get("Mounts", ()):
            users[mount.get("Name")].append(container)
    found = []
    for one in listed:
        labels, used_by = one.get("Labels") or {}, users[one["Name"]]
        services = sorted({str(container["Labels"].get(docker_engine.SERVICE, "")) for container in used_by})
        made = datetime.fromisoformat(one["CreatedAt"]).timestamp() if one.get("CreatedAt") else None
        key = labels.get(VOLUME, one["Name"])
        service = labels.get(OWNER) or KNOWN.get(key, ("", ""))[0] or ", ".join(services)
        found.append(_Found(one["Name"], key, service, made, tuple(used_by)))
    return found


def _sizes(engine: DockerClient) -> dict[str, int | None]:
    """Bytes of every volume of the engine, None where it does not say. Of volumes alone: images take long to count."""
    answer = engine.api.get(compose_look.url(engine, "system/df"), params={"type": "volume"}, timeout=_SIZES)
    answer.raise_for_status()
    sizes: dict[str, int | None] = {}
    for one in answer.json().get("Volumes") or ():
        size = (one.get("UsageData") or {}).get("Size", -1)
        sizes[one["Name"]] = None if size < 0 else size
    return sizes


def _problems(engine: DockerClient, stack: Stack, found: list[_Found], project: str, *, ask: bool) -> dict[str, DataError]:
    """What is wrong, by the volume's name. A running server is asked for its password if `ask`, and if that has changed."""
    services = {service.name: service for service in stack.services}
    known = [one for one in found if one.key in KNOWN and one.service in services]
    if not known:
        return {}

    def judge(one: _Found) -> DataError | None:
        service = services[one.service]
        if one.runs(service) is not None:
            return _password(engine, one, stack, ask=ask) if one.key == _POSTGRES else None
        data = _postgres_folder(service) if one.key == _POSTGRES else ""
        inside = compose_look.look(engine, project, one.name, service.image, (KNOWN[one.key][1], data))
        if inside is None:
            return None
        if one.key == _POSTGRES:
            return volume_findings.postgres(one.name, service, inside, data)
        return volume_findings.plain(one.name, service, inside)

    with ThreadPoolExecutor(len(known)) as threads:
        judged = dict(zip((one.name for one in known), threads.map(judge, known), strict=True))
    return {name: error for name, error in judged.items() if error is not None}


def _postgres_folder(service: Service) -> str:
    """Its data directory, below the volume."""
    path = PurePosixPath(service.environment.get("PGDATA", f"{_PGDATA}/docker"))
    return path.relative_to(_PGDATA).as_posix() if path.is_relative_to(_PGDATA) else ""


def _password(engine: DockerClient, found: _Found, stack: Stack, *, ask: bool = True) -> DataError | None:
    service = next((one for one in stack.services if one.name == found.service), None)
    container = None if service is None else found.runs(service)
    if service is None or container is None:
        return None
    ports = [one["PublicPort"] for one in container.get("Ports", ()) if one.get("PublicPort")]
    user, password = (service.environment.get(name, "") for name in ("POSTGRES_USER", "POSTGRES_PASSWORD"))
    if not ports or not password:
        return None
    # The client of PostgreSQL takes longer to import than all the rest of this takes.
    if not ask and f"POSTGRES_PASSWORD={password}" in engine.api.inspect_container(container["Id"])["Config"]["Env"]:
        return None
    return None if _lets_in(ports[0], user or "postgres", password) else volume_findings.password(found.name)


def _lets_in(port: int, user: str, password: str) -> bool:
    """Whether PostgreSQL accepts the password. From outside the container, for inside no password is asked for.

    True, too, where it cannot say: it is starting, or has no connection left.
    """
    import asyncio

    import asyncpg

    async def ask() -> bool:
        try:
            connection = await asyncpg.connect(
                host=HOST, port=port, user=user, password=password, database="postgres", ssl=False, timeout=_TIMEOUT
            )
        except asyncpg.InvalidPasswordError:
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return True
        await connection.close()
        return True

    return asyncio.run(ask())


def _in_words(error: DataError | None) -> str:
    return "" if error is None else f"{error.message} [{error.code}]; try: {error.hint}"


@contextmanager
def _answering() -> Iterator[None]:
    """Raises NotReady in place of the libraries' errors."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException) as error:
        raise docker_engine.unusable(error, os.environ) from error
