"""Repairs in the Docker engine."""

from __future__ import annotations

from jeex_cli.checks import repairs
from jeex_cli.runtimes import compose_report, engine
from jeex_cli.session import Session


def remove_containers(session: Session, repair: repairs.RemoveContainers) -> None:
    """Their volumes stay. Raises NotReady where the engine does not do it."""
    for id in repair.ids:
        engine.remove(session.environ, id)


def remove_images(session: Session, repair: repairs.RemoveImages) -> None:
    """Raises NotReady where the engine does not do it."""
    import requests
    from docker.errors import DockerException

    try:
        compose_report.remove_images(engine.connect(session.environ), repair.ids)
    except (DockerException, requests.RequestException) as error:
        raise engine.unusable(error, session.environ) from error
