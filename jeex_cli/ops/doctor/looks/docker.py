"""Looks at the Docker engine, and at what this project has in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jeex_cli import compose_file
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.docker import Compose, Engine, EngineDisk, OldImages
from jeex_cli.checks.docker_things import Things, Volumes
from jeex_cli.errors import DataError, JeexError, NotReady
from jeex_cli.runtimes import compose_image, compose_report, compose_volumes, engine
from jeex_cli.session import Session

if TYPE_CHECKING:
    from docker import DockerClient

# Seconds for the first answer, which every engine gives in milliseconds, and for each of the others. A look that has lost
# two seconds to the first would be too late to say that there was none.
_FIRST, _PATIENCE = 1.5, 2.0


def look(session: Session) -> Engine:
    """What `up` would refuse, in its words."""
    refusal: JeexError | None = None
    apart = None
    try:
        with _connected(session) as client:
            engine.check(client)
            apart = compose_report.clock_apart(client)
    except NotReady as error:
        refusal = error
    return Engine(refusal, engine.who_may(session.environ) if refusal is not None else "", apart)


def look_at_compose(session: Session) -> Compose:
    """What `up` would refuse, in its words."""
    try:
        engine.compose_version(session.environ, timeout=_PATIENCE)
    except NotReady as error:
        if error.code == "COMPOSE_MUTE":  # slow, or hanging: nobody knows which version it is
            raise CannotLook(error.message) from error
        return Compose(error)
    return Compose(None)


def look_at_disk(session: Session) -> EngineDisk:
    """What nothing uses, and what is free."""
    with _connected(session) as client:
        folder, free = compose_report.disk(client, local=engine.is_local(session.environ))
        images = sum(compose_report.dead_images(client).values())
        return EngineDisk(images, compose_report.build_cache(client), folder, free)


def look_at_old_images(session: Session) -> OldImages:
    """Those that jeex has built."""
    with _connected(session) as client:
        found = compose_report.dead_images(client, compose_image.LABEL)
        return OldImages(tuple(found), sum(found.values()))


def look_at_things(session: Session) -> Things:
    """Containers and images."""
    project, stack = session.project, session.stack
    variables = {**session.environ, **session.settings.variables}
    described = compose_file.read(project.compose_file).content(variables)["services"]  # the stack leaves other profiles out
    python = variables.get("JEEX_PYTHON_IMAGE") or compose_image.PYTHON_IMAGE
    asked = compose_report.Asked(
        project=stack.project,
        root=project.root,
        compose_folder=project.compose_file.parent,
        services=frozenset(described if isinstance(described, dict) else ()),
        own_images={one.name: one.image for one in stack.services if one.program == "python"},
        source=compose_image.digest(compose_image.sources(project), python),
        local=engine.is_local(session.environ),
    )
    with _connected(session) as client:
        return Things(
            containers=tuple(compose_report.containers(client, asked)),
            missing_images=tuple(compose_report.missing_images(client, [one.image for one in stack.services])),
            started=session.state.runtime == "compose",
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

    client = engine.connect(session.environ, timeout=_FIRST)
    client.api.timeout = _PATIENCE
    try:
        yield client
    except (DockerException, requests.RequestException, KeyError, ValueError) as error:
        raise CannotLook(f"the engine does not answer as it should ({type(error).__name__})") from error
    finally:
        client.close()
