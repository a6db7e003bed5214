"""What a project has in the engine, for `jeex doctor`: containers and what they use, images, layers that nothing uses."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jeex_cli.checks.docker import Container
from jeex_cli.runtimes import compose_look, engine
from jeex_cli.runtimes.compose_image import LABEL

if TYPE_CHECKING:
    from docker import DockerClient

_PLACE = "com.docker.compose.project.working_dir"
_TIMEOUT = 2  # seconds


def containers(client: DockerClient, project: str, services: Collection[str]) -> list[Container]:
    """Every container of the project's, leftovers among them."""
    found: dict[str, dict[str, Any]] = {}
    for label in (f"{engine.PROJECT}={project}", f"{compose_look.LOOKING}={project}"):
        for one in client.api.containers(all=True, filters={"label": label}):
            found[one["Id"]] = one
    if not found:
        return []
    with ThreadPoolExecutor(len(found)) as threads:
        return [one for one in threads.map(lambda id: _container(client, id, services), found) if one is not None]


def _container(client: DockerClient, id: str, services: Collection[str]) -> Container | None:
    from docker.errors import NotFound

    try:
        about = client.api.inspect_container(id)
        memory = _memory(client.api.stats(id, stream=False, one_shot=True)) if about["State"]["Running"] else 0
    except NotFound:
        return None  # it went away meanwhile
    labels, state = about["Config"]["Labels"] or {}, about["State"]
    service = labels.get(engine.SERVICE, "")
    return Container(
        id=id,
        name=about["Name"].lstrip("/"),
        service=service,
        state=state["Status"],
        known=service in services and labels.get(engine.ONE_OFF, "False") == "False",
        place=labels.get(_PLACE, ""),
        restarts=int(about.get("RestartCount", 0)),
        running_for=time.time() - datetime.fromisoformat(state["StartedAt"]).timestamp() if state["Running"] else 0.0,
        memory=memory,
        limit=int(about["HostConfig"].get("Memory") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
    )


def _memory(stats: Mapping[str, Any]) -> int:
    """Bytes that its processes use; pages of files, which the kernel takes back when it needs them, left out."""
    memory = stats.get("memory_stats") or {}
    cached = (memory.get("stats") or {}).get("inactive_file") or (memory.get("stats") or {}).get("total_inactive_file") or 0
    return max(0, int(memory.get("usage", 0)) - int(cached))


def missing_images(client: DockerClient, images: Collection[str]) -> list[str]:
    """Those of `images` that the engine does not have."""
    from docker.errors import ImageNotFound

    missing = []
    for image in dict.fromkeys(images):
        try:
            client.api.inspect_image(image)
        except ImageNotFound:
            missing.append(image)
    return missing


def dead_layers(client: DockerClient) -> tuple[int, list[str]]:
    """Bytes of images without a name and of the build cache; and the ids of those images that jeex has built."""
    dangling = client.api.images(filters={"dangling": True})
    size = sum(int(one.get("Size", 0)) for one in dangling)
    answer = client.api.get(compose_look.url(client, "system/df"), params={"type": "build-cache"}, timeout=_TIMEOUT)
    answer.raise_for_status()
    size += sum(int(one.get("Size", 0)) for one in answer.json().get("BuildCache") or () if not one.get("InUse"))
    return size, [one["Id"] for one in dangling if LABEL in (one.get("Labels") or {})]


def clock_apart(client: DockerClient) -> float:
    """Seconds that the engine's clock is ahead of this machine's."""
    before = time.time()
    text = str(client.info()["SystemTime"])
    return datetime.fromisoformat(text).timestamp() - (before + time.time()) / 2


def remove_images(client: DockerClient, ids: Collection[str]) -> None:
    """Remove images that nothing uses; one that is used again stays."""
    from docker.errors import APIError

    for id in ids:
        try:
            client.api.remove_image(id)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise
