"""The Docker engine itself, and Docker Compose. What a project has there is in docker_things.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import RemoveImages
from jeex_cli.errors import JeexError

_GROUP = "docker"
_GB, _MB = 1000**3, 1000**2
_DEAD = 5 * _GB  # bytes of layers that nothing uses
_PLENTY = 4  # times as much as they take that has to be free, for them not to matter
_FEW, _NEEDED = 2 * _GB, 300 * _MB  # bytes that are free on the engine's disk
_OLD_IMAGES, _OLD_BYTES = 3, 1000**3
_LITTLE_APART, _FAR_APART = 5.0, 60.0  # seconds between two clocks


@dataclass(frozen=True, slots=True)
class Engine:
    """What keeps the stack from running there, in the words of `up`.

    `socket` says who may open the engine's socket, "" where that cannot be told. `apart`: seconds that its clock is ahead of
    this machine's, None where no engine answers.
    """

    refusal: JeexError | None
    socket: str
    apart: float | None


@dataclass(frozen=True, slots=True)
class Compose:
    """What is wrong with Docker Compose, in the words of `up`."""

    refusal: JeexError | None


@dataclass(frozen=True, slots=True)
class EngineDisk:
    """Bytes of what nothing uses: images without a name, and the build cache. `folder` is the engine's, as it calls it.

    `free`: bytes that are free there, None where this machine cannot see it: an engine elsewhere, or in a virtual machine.
    """

    images: int
    cache: int
    folder: str
    free: int | None


@dataclass(frozen=True, slots=True)
class OldImages:
    """Images of the service that a newer build has replaced, and that no container is of: ids, and bytes that are theirs."""

    ids: tuple[str, ...]
    size: int


def _engine_verdict(facts: Engine, codes: tuple[str, ...], fine: str) -> Verdict:
    if facts.refusal is None:
        return ok(fine)
    if facts.refusal.code in codes:
        return refused(facts.refusal)
    return unknown(facts.refusal.message, fix=facts.refusal.hint)


def docker_permission(facts: Engine) -> Verdict:
    found = _engine_verdict(facts, ("ENGINE_PERMISSION",), "this user may talk to the engine")
    return replace(found, evidence=(facts.socket,)) if found.level == "fail" and facts.socket else found


def docker_engine(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("ENGINE_DOWN", "ENGINE_WINDOWS"), "a Docker engine answers")


def docker_podman(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("PODMAN",), "it is Docker's engine")


def docker_memory(facts: Engine) -> Verdict:
    return _engine_verdict(facts, ("ENGINE_MEMORY",), "the engine has memory for the stack")


def docker_compose(facts: Compose) -> Verdict:
    return refused(facts.refusal) if facts.refusal is not None else ok("Docker Compose is new enough")


def docker_clock(facts: Engine) -> Verdict:
    if facts.apart is None:
        return unknown(facts.refusal.message if facts.refusal else "no engine answers")
    if abs(facts.apart) <= _LITTLE_APART:
        return ok(f"the clocks of the engine and of this machine are {abs(facts.apart):.0f} s apart")
    said = f"the engine's clock is {abs(facts.apart):.0f} s {'ahead of' if facts.apart > 0 else 'behind'} this machine's"
    how = "set the clock (timedatectl set-ntp true; Docker Desktop: restart it)"
    if abs(facts.apart) > _FAR_APART:
        return fail(f"{said}: tokens are refused, or good for too long", fix=how)
    return warn(said, fix=how)


def docker_disk(facts: EngineDisk) -> Verdict:
    dead = facts.images + facts.cache
    seen = [
        f"images without a name: {facts.images / _GB:.1f} GB",
        f"build cache: {facts.cache / _GB:.1f} GB",
        f"free in {facts.folder}: {facts.free / _GB:.1f} GB" if facts.free is not None else "free: cannot be seen from here",
    ]
    prune = "docker image prune; docker builder prune"
    if facts.free is not None and facts.free < _FEW:
        said = f"{facts.free // _MB} MB are free on the Docker engine's disk ({facts.folder})"
        how = f"{prune}; docker system df shows what takes how much"
        if facts.free < _NEEDED:
            return fail(said, seen, fix=how, code="DISK_FULL")
        return warn(f"only {said}", seen, fix=how)
    if dead > _DEAD and (facts.free is None or facts.free < dead * _PLENTY):
        return warn(f"layers that nothing uses take {dead / _GB:.1f} GB of the engine's disk", seen, fix=prune)
    return ok(f"layers that nothing uses take {dead / _GB:.1f} GB", seen)


def docker_old_images(facts: OldImages) -> Verdict:
    many = len(facts.ids)
    said = f"{many} {'image' if many == 1 else 'images'} of the service that nothing uses ({facts.size / 10**6:.0f} MB)"
    if many < _OLD_IMAGES and facts.size <= _OLD_BYTES:
        return ok(said)
    repair = RemoveImages(facts.ids)
    return warn(f"newer builds have left {said}", fix=repair.text, repair=repair)


def _check(  # noqa: PLR0917 - a table
    id: str, title: str, explanation: str, judge: object, facts: type = Engine, services: tuple[str, ...] = ()
) -> Check:
    return Check(id, _GROUP, title, explanation, facts, judge, services, runtime="compose")  # type: ignore[arg-type]


CHECKS = (
    _check(
        "docker-permission",
        "this user may talk to the engine",
        "The engine's socket belongs to a group, docker as a rule. Who is not in it gets no answer.",
        docker_permission,
    ),
    _check(
        "docker-engine",
        "a Docker engine answers",
        "Asks the engine that `docker` uses: DOCKER_HOST, the context that was chosen, or the socket.",
        docker_engine,
    ),
    _check(
        "docker-podman",
        "it is Docker's engine",
        "Podman's Docker API knows no health conditions between services, so the stack does not start there.",
        docker_podman,
    ),
    _check(
        "docker-compose",
        "Docker Compose is there, and new enough",
        "compose.yaml needs Compose 2.24: configs with content, and start_interval.",
        docker_compose,
        Compose,
    ),
    _check(
        "docker-memory",
        "the engine has memory for the stack",
        "Docker Desktop gives its virtual machine a part of the memory only. The stack needs 2 GB of it.",
        docker_memory,
    ),
    _check(
        "docker-clock",
        "the engine's clock is this machine's",
        "The engine may run in a virtual machine, whose clock stands still while a laptop sleeps.",
        docker_clock,
    ),
    _check(
        "docker-disk",
        "the engine's disk has room",
        "Images, containers and volumes are in the engine's folder. Fails below 300 MB, warns below 2 GB; and where images "
        "without a name and the build cache, which stay until somebody prunes, take more than 5 GB and a fourth of what is "
        "free. What is free is not seen where the engine runs in a virtual machine or elsewhere.",
        docker_disk,
        EngineDisk,
        ("postgres", "redis"),
    ),
    _check(
        "docker-old-images",
        "few images of older builds are left",
        "A build of the service leaves the image before it without a name, which the next one removes. Warns from three "
        "images, or 1 GB, on; what a container is made of is left alone.",
        docker_old_images,
        OldImages,
    ),
)
