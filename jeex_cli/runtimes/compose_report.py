"""What a project has in the engine, for `jeex doctor`: containers and what they use, images, layers that nothing uses."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeex_cli.checks.docker_things import Container
from jeex_cli.runtimes import compose_look, engine
from jeex_cli.runtimes.compose_image import LABEL

if TYPE_CHECKING:
    from docker import DockerClient

_FOLDER = "com.docker.compose.project.working_dir"
_ENV_FILE = "com.docker.compose.project.environment_file"  # where Compose was given one, as jeex does
_IMAGE = "com.docker.compose.image"
_TIMEOUT = 2  # seconds
_JUST_NOW = 60.0  # seconds; what is younger may be at work: another jeex's look into a volume, `docker compose run`
_LOOPBACK = ("127.", "::1")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the containers of a project are compared with.

    `root` is the project's folder, `compose_folder` that of its compose.yaml, which may be the one that ships with jeex.
    `services` are the names of all services, those of other profiles among them. `own_images` are the images that the
    service's containers are to be made of, by service; `source` is the digest of the sources that are here. `local`: the
    engine sees the file system of this machine.
    """

    project: str
    root: Path
    compose_folder: Path
    services: frozenset[str]
    own_images: Mapping[str, str]
    source: str
    local: bool


def containers(client: DockerClient, asked: Asked) -> list[Container]:
    """Every container of the project's, leftovers among them."""
    found: dict[str, dict[str, Any]] = {}
    for label in (f"{engine.PROJECT}={asked.project}", f"{compose_look.LOOKING}={asked.project}"):
        for one in client.api.containers(all=True, filters={"label": label}):
            found[one["Id"]] = one
    if not found:
        return []
    ids = {image: _id(client, image) for image in set(asked.own_images.values())}
    with ThreadPoolExecutor(len(found)) as threads:
        looked = threads.map(lambda one: _container(client, one, asked, ids), found.values())
        return [one for one in looked if one is not None]


def _container(
    client: DockerClient, listed: Mapping[str, Any], asked: Asked, ids: Mapping[str, str | None]
) -> Container | None:
    from docker.errors import NotFound

    labels = listed.get("Labels") or {}
    young = listed["Created"] > time.time() - _JUST_NOW
    looking = compose_look.LOOKING in labels
    if young and looking:
        return None  # somebody looks into a volume right now: we, as a rule
    try:
        about = client.api.inspect_container(listed["Id"])
        running = about["State"]["Running"]
        memory = _memory(client.api.stats(listed["Id"], stream=False, one_shot=True)) if running else 0
    except NotFound:
        return None  # it went away meanwhile
    state = about["State"]
    service = labels.get(engine.SERVICE, "")
    one_off = labels.get(engine.ONE_OFF) == "True"
    used = one_off and (running or young)  # somebody's `docker compose run`
    place, moved = ("", False) if looking else _place(labels, asked)
    return Container(
        id=listed["Id"],
        name=about["Name"].lstrip("/"),
        service=service if service in asked.services and not one_off else "",
        state=state["Status"],
        left=looking or (one_off and not used) or service not in asked.services,
        place=place,
        moved=moved,
        restarts=int(about.get("RestartCount", 0)),
        running_for=time.time() - datetime.fromisoformat(state["StartedAt"]).timestamp() if running else 0.0,
        memory=memory,
        limit=int(about["HostConfig"].get("Memory") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        published=tuple(_published(about)) if running else (),
        replaced=_is_replaced(labels, ids.get(asked.own_images.get(service, "")), asked.source),
    )


def _place(labels: Mapping[str, str], asked: Asked) -> tuple[str, bool]:
    """The folder that made the container, "" where it is this project's; and whether that is no more.

    A compose.yaml may be two projects' (jeex's own); their `.env` is not.
    """
    env_file = labels.get(_ENV_FILE, "").split(",")[0]
    if env_file and not _same(Path(env_file).parent, asked.root):
        folder = Path(env_file).parent
        if not (asked.local and _is_gone(folder)):
            return str(folder), False
    made_in = labels.get(_FOLDER, "")
    if not made_in or _same(Path(made_in), asked.compose_folder):
        return "", False
    return made_in, asked.local and _is_gone(Path(made_in))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder, whatever links lead there."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def _is_gone(folder: Path) -> bool:
    """Not where this user may not look."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _published(about: Mapping[str, Any]) -> Iterator[str]:
    """The addresses of this machine, with ports, at which others reach it."""
    for bindings in (about["NetworkSettings"].get("Ports") or {}).values():
        for one in bindings or ():
            if not str(one.get("HostIp", "")).startswith(_LOOPBACK):
                yield f"{one.get('HostIp') or '*'}:{one.get('HostPort')}"


def _is_replaced(labels: Mapping[str, str], id: str | None, source: str) -> bool:
    """Whether the image of that name is another by now, unless the container's is of the sources that are here."""
    return bool(id) and labels.get(_IMAGE, id) != id and labels.get(LABEL) != source


def _memory(stats: Mapping[str, Any]) -> int:
    """Bytes that its processes use; pages of files, which the kernel takes back when it needs them, left out."""
    memory = stats.get("memory_stats") or {}
    parts = memory.get("stats") or {}
    kinds = ("inactive_file", "active_file", "slab_reclaimable")
    cached = sum(int(parts.get(f"total_{kind}", parts.get(kind, 0))) for kind in kinds)  # total_: of cgroups of version 1
    return max(0, int(memory.get("usage", 0)) - cached)


def missing_images(client: DockerClient, images: Collection[str]) -> list[str]:
    """Those of `images` that the engine does not have."""
    return [image for image in dict.fromkeys(images) if _id(client, image) is None]


def _id(client: DockerClient, image: str) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return str(client.api.inspect_image(image)["Id"])
    except ImageNotFound:
        return None


def build_cache(client: DockerClient) -> int:
    """Bytes of the build cache that nothing uses, as the engine counts them."""
    answer = client.api.get(compose_look.url(client, "system/df"), params={"type": "build-cache"}, timeout=_TIMEOUT)
    answer.raise_for_status()
    cached = answer.json().get("BuildCache") or ()
    return sum(int(one.get("Size", 0)) for one in cached if not one.get("InUse") and not one.get("Shared"))


def dead_images(client: DockerClient, label: str = "") -> dict[str, int]:
    """Images without a name that no container is of: bytes of each, by id, that no other image shares.

    With `label`, those that have it alone.
    """
    filters = '{"dangling":["true"]' + (f',"label":["{label}"]' if label else "") + "}"
    asked = {"filters": filters, "shared-size": "1"}
    answer = client.api.get(compose_look.url(client, "images/json"), params=asked, timeout=_TIMEOUT)
    answer.raise_for_status()
    listed = answer.json() or ()
    if not listed:
        return {}
    used = {one["ImageID"] for one in client.api.containers(all=True)}
    return {one["Id"]: int(one["Size"]) - max(0, int(one.get("SharedSize", 0))) for one in listed if one["Id"] not in used}


def clock_apart(client: DockerClient) -> float:
    """Seconds that the engine's clock is ahead of this machine's."""
    before = time.time()
    text = str(client.info()["SystemTime"])
    return datetime.fromisoformat(text).timestamp() - (before + time.time()) / 2


def disk(client: DockerClient, *, local: bool) -> tuple[str, int | None]:
    """The engine's folder and the bytes that are free there; None where it is not this machine's, as far as can be told."""
    info = client.info()
    folder = str(info.get("DockerRootDir", ""))
    here = os.uname()
    same = local and (info.get("Name"), info.get("KernelVersion")) == (here.nodename, here.release)
    try:
        found = os.statvfs(folder) if same and folder else None
    except OSError:
        found = None
    return folder, None if found is None else found.f_bavail * found.f_frsize


def remove_images(client: DockerClient, ids: Collection[str]) -> None:
    """Remove images that nothing uses; one that is used again stays."""
    from docker.errors import APIError

    for id in ids:
        try:
            client.api.remove_image(id)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise
