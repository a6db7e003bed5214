"""What a project has in the Docker engine: its containers, their images, its volumes."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, warn
from jeex_cli.checks.repairs import RemoveContainers, RestartServices, StartStack
from jeex_cli.errors import JeexError

_GROUP = "docker"
_FULL = 0.9  # of the memory that a container may use
_RESTARTS, _YOUNG = 3, 60.0  # seconds
_SERVED = ("postgres", "redis", "vault", "api", "frontend", "worker")


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this project. `running_for` is in seconds, 0 where it does not run; memory in bytes, 0 for no limit.

    `service` is "" where compose.yaml has none of that name. `left`: nothing of this project needs it, and nothing uses it.
    `place` is the folder that it was made by, where that is another one; `moved`: that folder is no more. `published` are
    the addresses with ports that others can reach. `replaced`: its image has lost its name to a newer one.
    """

    id: str
    name: str
    service: str
    state: str
    left: bool = False
    place: str = ""
    moved: bool = False
    restarts: int = 0
    running_for: float = 0.0
    memory: int = 0
    limit: int = 0
    out_of_memory: bool = False
    published: tuple[str, ...] = ()
    replaced: bool = False

    @property
    def ours(self) -> bool:
        """Whether no other folder that is still there has made it."""
        return not self.place or self.moved


@dataclass(frozen=True, slots=True)
class Things:
    """What the project has there. `started`: it was brought up there before."""

    containers: tuple[Container, ...]
    missing_images: tuple[str, ...]
    started: bool


@dataclass(frozen=True, slots=True)
class Volumes:
    """What is wrong with the project's volumes, in the words that `up` ends with."""

    refusal: JeexError | None
    count: int


def _ours(facts: Things) -> list[Container]:
    """The containers of services, without those that another folder has made."""
    return [one for one in facts.containers if one.service and one.ours and not one.left]


def docker_limits(facts: Things) -> Verdict:
    killed = [one for one in _ours(facts) if one.out_of_memory]
    full = [one for one in _ours(facts) if one.limit and one.memory > one.limit * _FULL]
    if not (killed or full):
        return ok("no container is short of memory")
    first = (killed or full)[0]
    what = "ran out of memory, and a process of it was killed" if killed else "has used up almost all of its memory"
    return warn(
        f"{first.name} {what} ({first.memory // 10**6} of {first.limit // 10**6} MB)",
        [f"{one.name}: {one.memory // 10**6} of {one.limit // 10**6} MB" for one in dict.fromkeys((*killed, *full))],
        fix=f"more in compose.yaml (deploy.resources.limits.memory of {first.service}); "
        f"jeex restart {first.service} starts it anew",
        repair=RestartServices(tuple(dict.fromkeys(one.service for one in (*killed, *full)))),
    )


def docker_restarts(facts: Things) -> Verdict:
    looping = [
        one
        for one in _ours(facts)
        if one.restarts >= _RESTARTS and one.running_for < _YOUNG and one.state in ("running", "restarting")
    ]
    if not looping:
        return ok("no container ends again and again")
    names = tuple(one.service for one in looping)
    return fail(
        f"{looping[0].service} ends again and again: Docker has started it {looping[0].restarts} times",
        [f"{one.name}: {one.restarts} times, {one.state}" for one in looping],
        fix=f"jeex logs {names[0]} shows why; jeex restart {names[0]}",
        repair=RestartServices(names),
        code="RESTARTING",
    )


def docker_outdated(facts: Things) -> Verdict:
    old = [one for one in _ours(facts) if one.replaced and one.state == "running"]
    if not old:
        return ok("what runs is what was built last")
    names = ", ".join(one.service for one in old)
    return warn(
        f"{names}: {'runs an image' if len(old) == 1 else 'run images'} of older sources than were built last",
        [one.name for one in old],
        fix="jeex up",
        repair=StartStack(),
    )


def docker_orphans(facts: Things) -> Verdict:
    left = [one for one in facts.containers if one.left and one.ours]
    if not left:
        return ok("every container of this project is a service's, or in use")
    repair = RemoveContainers(tuple(one.id for one in left), tuple(one.name for one in left))
    return warn(
        f"{left[0].name} is of this project, and of none of its services"
        + (f" (and {len(left) - 1} more)" if left[1:] else ""),
        [f"{one.name}: {one.state}" for one in left],
        fix=repair.text,
        repair=repair,
    )


def docker_foreign(facts: Things) -> Verdict:
    others = [one for one in facts.containers if not one.ours]
    seen = [f"{one.name}: {one.place}" for one in facts.containers if one.place]
    if others:
        return fail(
            f"{others[0].name} was made by the stack in {others[0].place}, under the same project's name",
            seen,
            fix="give one of the two another JEEX_PROJECT in its .env; or, where only this one is to have it: jeex up",
            code="PROJECT_SHARED",
        )
    moved = next((one for one in facts.containers if one.moved), None)
    if moved is not None:
        return warn(
            f"{moved.name} was made in {moved.place}, which is no more: its files are not there when it starts again",
            seen,
            fix="jeex down && jeex up makes the containers anew, and keeps the data",
        )
    return ok("the containers of this project are this folder's")


def docker_published(facts: Things) -> Verdict:
    open_ones = [one for one in facts.containers if one.published and one.ours]
    if not open_ones:
        return ok("every port is published on 127.0.0.1 alone")
    first = open_ones[0]
    # `jeex up` publishes on 127.0.0.1 only, and makes a container anew that was made otherwise.
    return fail(
        f"{first.name} is published on {first.published[0]}: other machines can reach it",
        [f"{one.name}: {', '.join(one.published)}" for one in open_ones],
        fix="publish it on 127.0.0.1 in compose.yaml (and compose.override.yaml, if there is one), then: jeex up",
        repair=StartStack() if all(one.service and not one.left for one in open_ones) else None,
    )


def docker_images(facts: Things) -> Verdict:
    if not facts.missing_images:
        return ok("every image of the stack is here")
    many = len(facts.missing_images)
    one = many == 1
    if not facts.started:
        said = (
            f"{many} {'image is' if one else 'images are'} not here yet: jeex up pulls or builds {'it' if one else 'them'}"
        )
        return ok(said, facts.missing_images)
    return warn(
        f"{many} of the stack's images {'is' if one else 'are'} gone: what is made anew has to wait",
        facts.missing_images,
        fix="jeex up pulls and builds what is missing",
        repair=StartStack(),
    )


def docker_volumes(facts: Volumes) -> Verdict:
    if facts.refusal is not None:
        return refused(facts.refusal)
    return ok(f"the services can work with their {facts.count} volumes")


def _check(  # noqa: PLR0917 - a table
    id: str, title: str, explanation: str, judge: object, facts: type = Things, services: tuple[str, ...] = ()
) -> Check:
    return Check(id, _GROUP, title, explanation, facts, judge, services, runtime="compose")  # type: ignore[arg-type]


CHECKS = (
    _check(
        "docker-images",
        "the stack's images are here",
        "Before the first `jeex up` images are pulled and built. Later one may be gone: somebody has pruned.",
        docker_images,
    ),
    _check(
        "docker-foreign",
        "the containers are this folder's",
        "Compose tells projects apart by name. Two folders with one name take each other's containers down. The labels of a "
        "container say which compose.yaml and which .env it was made with.",
        docker_foreign,
    ),
    _check(
        "docker-orphans",
        "no container is left over",
        "Containers of services that compose.yaml no longer has, or of a command that was killed, hold ports and volumes. "
        "One of `docker compose run` that still runs is somebody's, and left alone.",
        docker_orphans,
    ),
    _check(
        "docker-published",
        "containers publish on 127.0.0.1 alone",
        "Docker opens a published port past most firewalls. Plain `docker compose up` follows a compose.override.yaml, too, "
        "which may publish on every address.",
        docker_published,
    ),
    _check(
        "docker-volumes",
        "the services can work with their volumes",
        "Looks into the volumes: data of another PostgreSQL, of another owner, or something else. Nothing is changed.",
        docker_volumes,
        Volumes,
        ("postgres", "redis"),
    ),
    _check(
        "docker-restarts",
        "no container ends again and again",
        "Docker starts a service that ends. One that was started three times, and is younger than a minute, will end again.",
        docker_restarts,  # explains no failure: it is one, and the service's last words say more
    ),
    _check(
        "docker-limits",
        "no container is short of memory",
        "Each service has a limit of memory in compose.yaml. Past it the kernel kills a process of the container. Pages of "
        "files do not count: the kernel takes them back when it needs them.",
        docker_limits,
        services=_SERVED,
    ),
    _check(
        "docker-outdated",
        "what runs was built last",
        "Containers keep the image that they were made of when a newer one is built, until `jeex up` makes them anew.",
        docker_outdated,
    ),
)
