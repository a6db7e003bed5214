"""The Docker engine, and what this project has in it."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import RemoveContainers, RemoveImages, RestartServices, StartStack
from jeex_cli.errors import JeexError

_GROUP = "docker"
_GB = 1000**3
_DEAD = 2 * _GB  # bytes of layers that nothing uses
_FULL = 0.9  # of the memory that a container may use
_RESTARTS, _YOUNG = 3, 60.0  # seconds
_LITTLE_APART, _FAR_APART = 5.0, 60.0  # seconds between two clocks


@dataclass(frozen=True, slots=True)
class Engine:
    """What keeps the stack from running there: of the engine itself, and of Docker Compose.

    `apart`: seconds that the engine's clock is ahead of this machine's, None where no engine answers.
    """

    refusal: JeexError | None
    compose_refusal: JeexError | None
    apart: float | None


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this project. `running_for` is in seconds, 0 where it does not run; memory in bytes, 0 for no limit.

    `known`: its service is one of the stack's, and it is not a leftover. `place` is the folder whose compose.yaml made it.
    """

    id: str
    name: str
    service: str
    state: str
    known: bool
    place: str
    restarts: int
    running_for: float
    memory: int
    limit: int
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class Things:
    """What the project has there. `place` is the folder of its compose.yaml; `started`: it was brought up there before.

    `dead` are bytes of images without a name and of build cache, `dead_images` the ids of those that jeex has built.
    """

    containers: tuple[Container, ...]
    place: str
    missing_images: tuple[str, ...]
    started: bool
    dead: int
    dead_images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volumes:
    """What is wrong with the project's volumes, in the words that `up` ends with."""

    refusal: JeexError | None
    count: int


def _engine_verdict(facts: Engine, codes: tuple[str, ...], fine: str) -> Verdict:
    if facts.refusal is None:
        return ok(fine)
    if facts.refusal.code in codes:
        return refused(facts.refusal)
    return unknown(facts.refusal.message, fix=facts.refusal.hint)


def docker_permission(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("ENGINE_PERMISSION",), "this user may talk to the engine")


def docker_engine(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("ENGINE_DOWN", "ENGINE_WINDOWS"), "a Docker engine answers")


def docker_podman(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("PODMAN",), "it is Docker's engine")


def docker_memory(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("ENGINE_MEMORY",), "the engine has memory for the stack")


def docker_compose(facts: Engine) -> Verdict:
    if facts.compose_refusal is not None:
        return refused(facts.compose_refusal)
    return ok("Docker Compose is new enough")


def docker_clock(facts: Engine) -> Verdict:
    if facts.apart is None:
        return unknown(facts.refusal.message if facts.refusal else "no engine answers")
    if abs(facts.apart) <= _LITTLE_APART:
        return ok(f"the clocks of the engine and of this machine are {abs(facts.apart):.0f} s apart")
    said = f"the engine's clock is {abs(facts.apart):.0f} s {'ahead of' if facts.apart > 0 else 'behind'} this machine's"
    how = "set the clock (timedatectl set-ntp true; Docker Desktop: restart it)"
    return (
        fail(f"{said}: tokens are refused, or good for too long", fix=how)
        if abs(facts.apart) > _FAR_APART
        else warn(said, fix=how)
    )


def docker_limits(facts: Things) -> Verdict:
    killed = [one for one in facts.containers if one.out_of_memory]
    full = [one for one in facts.containers if one.limit and one.memory > one.limit * _FULL]
    names = tuple(dict.fromkeys(one.service for one in (*killed, *full) if one.known))
    if not (killed or full):
        return ok("no container is short of memory")
    first = (killed or full)[0]
    what = "ran out of memory, and a process of it was killed" if killed else "has used up almost all of its memory"
    return warn(
        f"{first.name} {what} ({first.memory // 10**6} of {first.limit // 10**6} MB)",
        [f"{one.name}: {one.memory // 10**6} of {one.limit // 10**6} MB" for one in (*killed, *full)],
        fix=f"more in compose.yaml (deploy.resources.limits.memory of {first.service}); "
        f"jeex restart {first.service} starts it anew",
        repair=RestartServices(names) if names else None,
    )


def docker_restarts(facts: Things) -> Verdict:
    looping = [one for one in facts.containers if one.known and one.restarts >= _RESTARTS and one.running_for < _YOUNG]
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


def docker_orphans(facts: Things) -> Verdict:
    left = [one for one in facts.containers if not one.known]
    if not left:
        return ok("every container of this project is a service's")
    repair = RemoveContainers(tuple(one.id for one in left), tuple(one.name for one in left))
    return warn(
        f"{left[0].name} is of this project, and of none of its services"
        + (f" (and {len(left) - 1} more)" if left[1:] else ""),
        [f"{one.name}: {one.state}" for one in left],
        fix=repair.text,
        repair=repair,
    )


def docker_foreign(facts: Things) -> Verdict:
    others = [one for one in facts.containers if one.known and one.place and one.place != facts.place]
    if not others:
        return ok("the containers of this project are this folder's")
    return fail(
        f"{others[0].name} was made by the compose.yaml in {others[0].place}, under the same project's name",
        [f"{one.name}: {one.place}" for one in others],
        fix="give one of the two another JEEX_PROJECT in its .env; or, where it was moved: jeex up makes them anew",
        code="PROJECT_SHARED",
    )


def docker_images(facts: Things) -> Verdict:
    if not facts.missing_images:
        return ok("every image of the stack is here")
    many = len(facts.missing_images)
    if not facts.started:
        return ok(f"{many} images are not here yet: jeex up pulls or builds them", facts.missing_images)
    return warn(
        f"{many} of the stack's images {'is' if many == 1 else 'are'} gone: what is made anew has to wait for them",
        facts.missing_images,
        fix="jeex up pulls and builds what is missing",
        repair=StartStack(),
    )


def docker_disk(facts: Things) -> Verdict:
    if facts.dead <= _DEAD:
        return ok(f"layers that nothing uses take {facts.dead / _GB:.1f} GB")
    return warn(
        f"layers that nothing uses take {facts.dead / _GB:.1f} GB of the engine's disk",
        fix="docker image prune; docker builder prune",
        repair=RemoveImages(facts.dead_images) if facts.dead_images else None,
    )


def docker_volumes(facts: Volumes) -> Verdict:
    return (
        refused(facts.refusal)
        if facts.refusal is not None
        else ok(f"the services can work with their {facts.count} volumes")
    )


def _check(  # noqa: PLR0917 - a table
    id: str, title: str, explanation: str, facts: type, judge: object, services: tuple[str, ...] = ()
) -> Check:
    return Check(id, _GROUP, title, explanation, facts, judge, services, runtime="compose")  # type: ignore[arg-type]


CHECKS = (
    _check(
        "docker-permission",
        "this user may talk to the engine",
        "The engine's socket belongs to a group, docker as a rule. Who is not in it gets no answer.",
        Engine,
        docker_permission,
    ),
    _check(
        "docker-engine",
        "a Docker engine answers",
        "Asks the engine that `docker` uses: DOCKER_HOST, the context that was chosen, or the socket.",
        Engine,
        docker_engine,
    ),
    _check(
        "docker-podman",
        "it is Docker's engine",
        "Podman's Docker API knows no health conditions between services, so the stack does not start there.",
        Engine,
        docker_podman,
    ),
    _check(
        "docker-compose",
        "Docker Compose is there, and new enough",
        "compose.yaml needs Compose 2.24: configs with content, and start_interval.",
        Engine,
        docker_compose,
    ),
    _check(
        "docker-memory",
        "the engine has memory for the stack",
        "Docker Desktop gives its virtual machine a part of the memory only. The stack needs 2 GB of it.",
        Engine,
        docker_memory,
    ),
    _check(
        "docker-clock",
        "the engine's clock is this machine's",
        "The engine may run in a virtual machine, whose clock stands still while a laptop sleeps.",
        Engine,
        docker_clock,
    ),
    _check(
        "docker-images",
        "the stack's images are here",
        "Before the first `jeex up` images are pulled and built. Later one may be gone: somebody has pruned.",
        Things,
        docker_images,
    ),
    _check(
        "docker-foreign",
        "the containers are this folder's",
        "Compose tells projects apart by name. Two folders with one name take each other's containers down.",
        Things,
        docker_foreign,
    ),
    _check(
        "docker-orphans",
        "no container is left over",
        "Containers of services that compose.yaml no longer has, or of a command that was killed, hold ports and volumes.",
        Things,
        docker_orphans,
    ),
    _check(
        "docker-volumes",
        "the services can work with their volumes",
        "Looks into the volumes: data of another PostgreSQL, of another owner, or something else. Nothing is changed.",
        Volumes,
        docker_volumes,
        ("postgres", "redis"),
    ),
    _check(
        "docker-restarts",
        "no container ends again and again",
        "Docker starts a service that ends. One that was started three times, and is younger than a minute, will end again.",
        Things,
        docker_restarts,
        ("postgres", "redis", "vault", "api", "frontend", "worker"),
    ),
    _check(
        "docker-limits",
        "no container is short of memory",
        "Each service has a limit of memory in compose.yaml. Past it the kernel kills a process of the container.",
        Things,
        docker_limits,
        ("postgres", "redis", "vault", "api", "frontend", "worker"),
    ),
    _check(
        "docker-disk",
        "no dead layers fill the disk",
        "Images that lost their name to a newer one, and the build cache, stay until somebody prunes. Warns above 2 GB.",
        Things,
        docker_disk,
    ),
)
