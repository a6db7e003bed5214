"""compose.yaml + variables -> a frozen Stack. Pure: text in, data out; `load` and `variables` alone read a file.

What Compose reads, this reads the same way: tests/integration/test_compose_parity.py holds the two together. What jeex does
not read and could not leave out without running something else is refused: `extends`, `include`, `env_file`, several
ports of one service, a port left to chance.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from jeex_cli import compose_file as compose
from jeex_cli.errors import ConfigError, UsageError
from jeex_cli.host_address import HOST, rewritten
from jeex_cli.stack_service import HttpProbe, Need, PostgresProbe, Probe, RedisProbe, Service, ServiceReader

__all__ = [
    "HOST",
    "HttpProbe",
    "Need",
    "PostgresProbe",
    "Probe",
    "RedisProbe",
    "Service",
    "Stack",
    "load",
    "variables",
]

_PROJECT = "COMPOSE_PROJECT_NAME"


@dataclass(frozen=True, slots=True)
class Stack:
    """The services of the active profiles, each after what it needs."""

    project: str
    services: tuple[Service, ...]

    def service(self, name: str) -> Service:
        """The service called `name`. Raises UsageError, with what was probably meant."""
        for service in self.services:
            if service.name == name:
                return service
        import difflib

        names = [service.name for service in self.services]
        close = difflib.get_close_matches(name, names, n=1)
        raise UsageError(
            f"there is no service {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
            code="UNKNOWN_SERVICE",
            hint=f"the services are {', '.join(names)}" if names else "no service is active: look at JEEX_PROFILES",
        )

    def host_environment(self, name: str) -> dict[str, str]:
        """The environment of `name` as a process of this machine needs it: containers' addresses become published ones.

        `postgres:5432` in a value becomes `127.0.0.1:5220`; host_address.py has the rules, those for addresses in two
        variables too. Raises UsageError.
        """
        service = self.service(name)
        published = {one.name: one.ports for one in self.services if one.ports}
        return rewritten(service.environment, published, service.ports)


def variables(compose_file: Path) -> dict[str, str | None]:
    """Every JEEX_ variable that the file names, with its default as written (None where it has none). Raises ConfigError."""
    found: dict[str, str | None] = {}
    for reference in compose.read(compose_file).references():
        if reference.name.startswith("JEEX_") and found.get(reference.name) is None:
            found[reference.name] = reference.operand if reference.operator.endswith("-") else None
    return found


def load(compose_file: Path, variables: Mapping[str, str], profiles: Collection[str] = ()) -> Stack:
    """Read and interpret `compose_file`; a service of another profile is left out.

    Raises ConfigError, with the line, for anything in the file that cannot be used.
    """
    document = compose.read(compose_file)
    project = _project(document, variables)
    variables = {**variables, _PROJECT: project}
    content = document.content(variables)
    if "include" in content:
        raise document.error(("include",), "jeex reads one file", "write the included services into this one")
    bodies = content.get("services")
    if not isinstance(bodies, dict) or not bodies:
        raise document.error(("services",), "services were expected here", "restore them from version control")
    readers: dict[str, ServiceReader] = {}
    for name, body in bodies.items():
        if not isinstance(body, dict):
            raise document.error(("services", name), "a mapping was expected", "give it at least an `image`, or take it out")
        readers[name] = ServiceReader(document, variables, project, name, body)
    completed = {other for one in readers.values() for other, how in one.needs().items() if how == "completed"}
    services = [reader.service(name in completed) for name, reader in readers.items()]
    active = {service.name: service for service in services if service.active(profiles)}
    active = {name: _with_active_needs(service, readers, active) for name, service in active.items()}
    _refuse_shared_ports(document, active.values())
    return Stack(project, tuple(_in_order(document, active)))


def _project(document: compose.Document, variables: Mapping[str, str]) -> str:
    """The project's name, found as Compose does: COMPOSE_PROJECT_NAME, else `name`, else the folder's name."""
    if given := variables.get(_PROJECT):
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", given):
            fix = "use lower-case letters, digits, `-` and `_`"
            raise ConfigError(f"{_PROJECT} is {given!r}, which cannot be a project's name", hint=fix)
        return given
    written, name = document.text("name", variables)
    if not written:
        name = document.file.resolve().parent.name
    name = re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
    if not name:
        raise document.error(("name",), "nothing of it can be part of a project's name", "use letters and digits")
    return name


def _with_active_needs(service: Service, readers: Mapping[str, ServiceReader], active: Mapping[str, Service]) -> Service:
    """`service` without the needs that it can do without and that are not active."""
    for other in service.needs:
        if other not in readers:
            raise readers[service.name].error(f"there is no service {other!r}", "correct the name", "depends_on")
        if other not in active and readers[service.name].requires(other):
            profile = readers[other].texts("profiles")[0]
            fix = f"activate it with JEEX_PROFILES={profile}, or add  required: false"
            raise readers[service.name].error(f"{other!r} is not active without its profile", fix, "depends_on", other)
    return replace(service, needs=MappingProxyType({name: how for name, how in service.needs.items() if name in active}))


def _refuse_shared_ports(document: compose.Document, services: Collection[Service]) -> None:
    by_port: dict[int, str] = {}
    for service in services:
        if service.host_port is not None:
            other = by_port.setdefault(service.host_port, service.name)
            if other != service.name:
                what = f"{other} publishes {service.host_port} too"
                raise document.error(("services", service.name, "ports", 0), what, "give one of the two another port")


def _in_order(document: compose.Document, services: Mapping[str, Service]) -> list[Service]:
    """Each after what it needs, otherwise as in the file."""
    ordered: dict[str, Service] = {}
    left = dict(services)
    while left:
        ready = next((one for one in left.values() if all(other in ordered for other in one.needs)), None)
        if ready is None:
            cycle = _cycle(left)
            raise document.error(
                ("services", cycle[0], "depends_on"), f"these wait for each other: {' -> '.join(cycle)}", "take one need out"
            )
        ordered[ready.name] = left.pop(ready.name)
    return list(ordered.values())


def _cycle(left: Mapping[str, Service]) -> Sequence[str]:
    """A circle among services of which each needs another."""
    path = [next(iter(left))]
    while path.count(path[-1]) < 2:
        path.append(next(other for other in left[path[-1]].needs if other in left))
    return path[path.index(path[-1]) :]
