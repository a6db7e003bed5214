"""Images that others have made: there already, or pulled."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from jeex_cli.errors import NotReady
from jeex_cli.events import Report, Step
from jeex_cli.runtimes.engine import WITHOUT

if TYPE_CHECKING:
    from docker import DockerClient

# How Docker calls what kernels call otherwise.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def ensure(client: DockerClient, images: Collection[str], report: Report) -> bool:
    """Pull what is missing of `images`, however long it takes; whether anything was. Raises NotReady naming an image that
    cannot be had, or that is for another kind of machine."""
    from docker.errors import ImageNotFound

    here = str(client.info().get("Architecture", ""))
    pulled = False
    for image in dict.fromkeys(images):
        try:
            found = client.images.get(image)
        except ImageNotFound:
            _pull(client, image, report)
            pulled = True
            found = client.images.get(image)
        theirs = str(found.attrs.get("Architecture", ""))
        if theirs and theirs != _ARCHITECTURES.get(here, here):
            raise NotReady(
                f"the image {image} is for {theirs}; this engine is {_ARCHITECTURES.get(here, here)}",
                code="IMAGE_ARCHITECTURE",
                hint=f"docker pull {image}; or: {WITHOUT}",
            )
    return pulled


def _pull(client: DockerClient, image: str, report: Report) -> None:
    import requests
    from docker.errors import DockerException

    began = time.monotonic()
    id, text = f"image {image}", f"Pull {image}"
    report(Step(id, text, "running"))
    name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    try:
        error = _progress(client.api.pull(name, tag=tag, stream=True, decode=True))
    except (DockerException, requests.RequestException, OSError) as failure:
        error = str(failure)
    if error:
        report(Step(id, text, "failed", time.monotonic() - began))
        raise NotReady(
            f"the image {image} is not here and cannot be pulled",
            code="IMAGE_MISSING",
            detail=error.splitlines()[0][:300],
            hint=f"docker pull {image} shows more; offline: {WITHOUT}",
        )
    report(Step(id, text, "done", time.monotonic() - began))


def _progress(events: Iterable[Mapping[str, Any]]) -> str:
    """Why pulling ended, "" where it went well."""
    return next((str(one["error"]) for one in events if "error" in one), "")
