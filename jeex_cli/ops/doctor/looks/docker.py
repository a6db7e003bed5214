"""Looks at the Docker engine, and at what this project has in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.docker import Engine, Things, Volumes
from jeex_cli.errors import DataError, JeexError, NotReady
from jeex_cli.runtimes import compose_report, compose_volumes, engine
from jeex_cli.session import Session

if TYPE_CHECKING:
    from docker import DockerClient

_PATIENCE = 2.0  # seconds for one answer


def look(session: Session) -> Engine:
    """What `up` would refuse, in its words."""
    refusal: JeexError | None = None
    compose_refusal: JeexError | None = None
    apart = None
    try:
        with _connected(session) as client:
            engine.check(client)
            apart = compose_report.clock_apart(client)
    except NotReady as error:
        refusal = error
    try:
        engine.compose_version(session.environ)
    except NotReady as error:
        compose_refusal = error
    return Engine(refusal, compose_refusal, apart)


def look_at_things(session: Session) -> Things:
    """Containers, images and layers."""
    with _connected(session) as client:
        services = [one.name for one in session.stack.services]
        dead, ours = compose_report.dead_layers(client)
        return Things(
            containers=tuple(compose_report.containers(client, session.stack.project, services)),
            place=str(session.project.compose_file.parent),
            missing_images=tuple(compose_report.missing_images(client, [one.image for one in session.stack.services])),
            started=session.state.runtime == "compose",
            dead=dead,
            dead_images=tuple(ours),
        )


def look_at_volumes(session: Session) -> Volumes:
    """Looks into them, where their servers do not prove them by running."""
    with _connected(session) as client:
        listed = client.api.volumes(filters={"label": f"{engine.PROJECT}={session.stack.project}"})["Volumes"] or []
        try:
            compose_volumes.check(client, session.stack, session.stack.project)
        except DataError as error:
            return Volumes(error, len(listed))
        return Volumes(None, len(listed))


@contextmanager
def _connected(session: Session) -> Iterator[DockerClient]:
    """The engine. Raises NotReady; CannotLook where it answers otherwise than an engine does."""
    import requests
    from docker.errors import DockerException

    client = engine.connect(session.environ, timeout=_PATIENCE)
    try:
        yield client
    except (DockerException, requests.RequestException, KeyError, ValueError) as error:
        raise CannotLook(f"the engine does not answer as it should ({type(error).__name__})") from error
    finally:
        client.close()
