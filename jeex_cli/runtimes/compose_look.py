"""Looking into a volume, by a container of the very image that would use it: nothing else must be there.

It runs a shell, has no network, may read everything and change nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jeex_cli.runtimes import volume_findings
from jeex_cli.runtimes.volume_findings import Inside

if TYPE_CHECKING:
    from docker import DockerClient

LOOKING = "jeex.looking"  # on our containers: the project whose volumes they look into
_PATIENCE = 20  # seconds for a shell to look through a volume's upper levels
_LEFT = 60  # seconds after which a container of ours that has not started never will

# Arguments: the user, and PostgreSQL's folder below the volume. Two levels tell it all: <major>/docker, or a file's owner.
_SCRIPT = """
cd /look || exit
echo "user $(id -u "$1") $(id -G "$1")"
echo "server $(postgres --version 2>/dev/null)"
find . -maxdepth 2 -exec stat -c 'entry %u %g %f %n' {} + 2>/dev/null
for file in PG_VERSION */PG_VERSION */*/PG_VERSION; do
  if [ -f "$file" ]; then echo "version $(cat "$file") $file"; fi
done
if [ -n "$2" ] && [ -n "$(ls -A "$2" 2>/dev/null)" ]; then echo "filled $2"; fi
echo end
"""


def look(engine: DockerClient, project: str, volume: str, image: str, asked: tuple[str, str]) -> Inside | None:
    """What is in `volume`, as it is to the user, and with the data directory, of `asked`.

    None where the image is not here, or has no shell to look with. It takes 0.13 s.
    """
    import docker.types
    import requests
    from docker.errors import APIError

    # Not filled from the image, which an empty volume otherwise is as soon as it is mounted.
    mount = docker.types.Mount("/look", volume, type="volume", read_only=True, no_copy=True)
    try:
        container = engine.containers.create(
            image,
            list(asked),
            entrypoint=["/bin/sh", "-c", _SCRIPT, "look"],
            user="0",
            cap_drop=["ALL"],
            cap_add=["DAC_READ_SEARCH"],
            security_opt=["no-new-privileges:true"],
            tty=True,  # its output comes as it is, not in frames
            network_mode="none",
            read_only=True,
            mounts=[mount],
            labels={LOOKING: project},
            log_config=docker.types.LogConfig(type="none"),
            healthcheck={"test": ["NONE"]},
            auto_remove=True,  # should this process be killed now
        )
    except APIError:
        return None
    try:
        attach = url(engine, f"containers/{container.id}/attach")
        # Before it starts, for it is gone as soon as it ends. The SDK's own attach leaves its connection open.
        with engine.api.post(attach, params={"stream": "1", "stdout": "1"}, stream=True, timeout=_PATIENCE) as printed:
            printed.raise_for_status()
            container.start()
            said = printed.content
        return volume_findings.read(said.decode(errors="replace"))
    except (APIError, requests.RequestException):
        return None
    finally:
        _remove(engine, str(container.id))


def clear(engine: DockerClient, project: str) -> None:
    """Remove what a jeex that was killed between two calls has left: it would hold the volume for ever."""
    for one in engine.api.containers(all=True, filters={"label": f"{LOOKING}={project}", "status": "created"}):
        if one["Created"] < time.time() - _LEFT:
            _remove(engine, one["Id"])


def _remove(engine: DockerClient, id: str) -> None:
    """Until the container is gone it holds the volume: whoever removes that next must not stumble over us."""
    from docker.errors import APIError

    try:
        engine.api.remove_container(id, v=True, force=True)
    except APIError:
        try:  # it goes by itself
            engine.api.wait(id, timeout=5, condition="removed")
        except APIError:
            return


def url(engine: DockerClient, path: str) -> str:
    """Where the engine answers what the SDK does not ask, or asks otherwise."""
    return f"{engine.api.base_url}/v{engine.api.api_version}/{path}"
