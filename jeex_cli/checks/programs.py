"""The programs of the servers that run without Docker, and the processes that they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import EndProcesses
from jeex_cli.errors import JeexError

_GROUP = "programs"
_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: (\S+?):")


@dataclass(frozen=True, slots=True)
class Found:
    """What the runtime itself says of its programs: None where all are there and fit."""

    refusal: JeexError | None
    count: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A program that was asked for its version. `said` is what it answered, or why it did not; `mute` has not in time."""

    name: str
    path: str
    works: bool
    said: str
    mute: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every program, tried."""

    programs: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Whether PostgreSQL, which refuses to be root, can run here: in a namespace, or as another account."""

    root: bool
    namespaces: bool
    refusal: JeexError | None


@dataclass(frozen=True, slots=True)
class Processes:
    """`lost` are servers of this project that no record knows: id, start in clock ticks, command.

    `unreadable` are records that are not what jeex wrote: their service and file (`.pid`, or `.started`).
    """

    lost: tuple[tuple[int, int, str], ...]
    unreadable: tuple[tuple[str, str], ...]


def programs_present(facts: Found) -> Verdict:
    return refused(facts.refusal) if facts.refusal is not None else ok(f"the programs of {facts.count} services are here")


def programs_load(facts: Loaded) -> Verdict:
    broken = [one for one in facts.programs if not (one.works or one.mute or _MISSING_LIBRARY.search(one.said))]
    mute = next((one for one in facts.programs if one.mute), None)
    if not broken and mute is not None:  # on a busy machine a sound one needs longer, too
        return unknown(
            f"{mute.path} --version: {mute.said}", fix="jeex doctor --only programs, once this machine is less busy"
        )
    if not broken:
        return ok("every program starts", [f"{one.name}: {one.said}" for one in facts.programs if one.works])
    first = broken[0]
    return fail(
        f"{first.path} does not start: {first.said}",
        [f"{one.path}: {one.said}" for one in broken],
        fix="pip install --force-reinstall 'jeex[embedded]'; or correct the JEEX_ variable that names the program",
        code="PROGRAM_BROKEN",
    )


def programs_libraries(facts: Loaded) -> Verdict:
    missing = {one: found[1] for one in facts.programs if not one.works and (found := _MISSING_LIBRARY.search(one.said))}
    if not missing:
        return ok("no program lacks a shared library")
    first, library = next(iter(missing.items()))
    return fail(
        f"{first.name} needs the shared library {library}, which is not on this machine",
        [f"{one.path}: {name}" for one, name in missing.items()],
        fix=f"install the package that has {library} (Debian: apt-file search {library}); then jeex up",
        code="LIBRARY_MISSING",
    )


def programs_namespaces(facts: Namespaces) -> Verdict:
    if facts.refusal is not None:
        return refused(facts.refusal)
    if not facts.root:
        return ok("jeex runs as an ordinary user, as PostgreSQL wants it")
    if facts.namespaces:
        return ok("root may make user namespaces: PostgreSQL runs in one")
    return ok("user namespaces are off: PostgreSQL runs as another account")


def processes_lost(facts: Processes) -> Verdict:
    if not facts.lost:
        return ok("every process that works here has a record")
    pid, _, command = facts.lost[0]
    many = f" and {len(facts.lost) - 1} more" if len(facts.lost) > 1 else ""
    return fail(
        f"pid {pid} ({command[:60]}){many} works in this project's folder, and jeex has no record of it",
        [f"pid {one}: {text}" for one, _, text in facts.lost],
        fix="jeex doctor --fix ends it; or: kill " + " ".join(str(one) for one, _, _ in facts.lost),
        repair=EndProcesses(facts.lost),
    )


def records_readable(facts: Processes) -> Verdict:
    if not facts.unreadable:
        return ok("the records of running services can be read")
    service, file = facts.unreadable[0]
    evidence = [path for _, path in facts.unreadable]
    if file.endswith(".started"):
        return warn(
            f"{file} is not what jeex wrote there: how {service} was started is not known",
            evidence,
            fix=f"jeex restart {service}",
        )
    return warn(
        f"{file} is not what jeex wrote there: what runs as {service} is not known",
        evidence,
        fix=f"rm '{file}'; then jeex doctor, for what is left running, and jeex up",
    )


CHECKS = (
    Check(
        "programs-present",
        _GROUP,
        "the servers are installed, and of versions that fit",
        "Without Docker the servers come out of the wheels of jeex[embedded], or from JEEX_POSTGRES_BIN, "
        "JEEX_REDIS_SERVER and JEEX_OPENBAO. Looks whether each is there and new enough.",
        Found,
        programs_present,
        runtime="embedded",
    ),
    Check(
        "programs-load",
        _GROUP,
        "every program starts",
        "Asks each program for its version. One that is damaged, or made for another processor, does not answer.",
        Loaded,
        programs_load,
        ("postgres", "redis", "vault"),
        runtime="embedded",
    ),
    Check(
        "programs-libraries",
        _GROUP,
        "no program lacks a shared library",
        "A program of one's own may need libraries that this machine does not have. The finding names it.",
        Loaded,
        programs_libraries,
        ("postgres", "redis", "vault"),
        runtime="embedded",
    ),
    Check(
        "programs-namespaces",
        _GROUP,
        "PostgreSQL can run as somebody else than root",
        "PostgreSQL refuses to be root. Where root runs jeex it gets a user namespace; where those are off it "
        "runs as the owner of the project or as nobody, who must be able to enter the folder.",
        Namespaces,
        programs_namespaces,
        ("postgres",),
        runtime="embedded",
    ),
    Check(
        "processes-lost",
        _GROUP,
        "every process that works here has a record",
        "A server whose record was deleted goes on running: it holds its port and its data, and `down` does not know it. "
        "A server is what works below .jeex and writes to a log there; a shell or a pager in that folder is none.",
        Processes,
        processes_lost,
        ("postgres", "redis", "vault", "api", "frontend", "worker"),
        runtime="embedded",
    ),
    Check(
        "records-readable",
        _GROUP,
        "the records of running services can be read",
        "jeex writes down in .jeex/run which process a service is (.pid) and how it was started (.started). Where "
        "something else has written there, that is not known any more.",
        Processes,
        records_readable,
        runtime="embedded",
    ),
)
