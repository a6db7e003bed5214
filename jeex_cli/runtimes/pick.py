"""Which runtime a project uses."""

from __future__ import annotations

from jeex_cli.errors import NotReady
from jeex_cli.runtimes.base import Runtime
from jeex_cli.runtimes.embedded import EmbeddedRuntime
from jeex_cli.runtimes.programs import Place


def pick(place: Place) -> Runtime:
    """The runtime that the settings ask for; `auto` means the embedded one until the compose runtime exists."""
    if place.settings.runtime == "compose":
        raise NotReady(
            "this version of jeex does not drive Docker Compose yet",
            code="RUNTIME_MISSING",
            hint="docker compose up works on the same compose.yaml; or: jeex up --runtime embedded",
        )
    return EmbeddedRuntime(place)
