"""compose.yaml + variables -> a frozen Stack. Pure: text in, data out; `load` alone reads a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from jeex_cli.errors import ConfigError, UsageError
from jeex_cli.interpolation import InterpolationError, interpolate, references

HOST = "127.0.0.1"

Need = Literal["started", "healthy", "completed"]
_NEEDS: Mapping[str, Need] = MappingProxyType(
    {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "completed"}
)


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Ready when GET `path` answers 2xx."""

    path: str


@dataclass(frozen=True, slots=True)
class PostgresProbe:
    """Ready when it asks for a password."""


@dataclass(frozen=True, slots=True)
class RedisProbe:
    """Ready when it answers PING."""


Probe = HttpProbe | PostgresProbe | RedisProbe


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `program` serves it without Docker (None: it needs Docker); `url` is the path of its page."""

    name: str
    title: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    host_port: int | None
    container_port: int | None
    needs: Mapping[str, Need]
    probe: Probe | None
    program: str | None
    url: str | None
    profiles: tuple[str, ...]
    one_shot: bool

    @property
    def address(self) -> str | None:
        """Its page, for people."""
        return None if self.url is None or self.host_port is None else f"http://{HOST}:{self.host_port}{self.url}"


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
            hint=f"the services are {', '.join(names)}",
        )

    def host_environment(self, name: str) -> dict[str, str]:
        """The environment of `name` as a process of this machine needs it: containers' addresses become published ones.

        `postgres:5432` in a value becomes `127.0.0.1:5220`. Split addresses are rewritten too: a value that is just a
        service's name becomes 127.0.0.1, and a *PORT that is the container port of that service (or its own) the published one.
        """
        environment = dict(self.service(name).environment)
        by_name = {service.name: service for service in self.services if service.host_port is not None}
        named = [by_name[value] for value in environment.values() if value in by_name]
        ports = {str(one.container_port): str(one.host_port) for one in (*named, self.service(name))}
        for key, value in environment.items():
            if value in by_name:
                environment[key] = HOST
            elif key.endswith("PORT") and value in ports:
                environment[key] = ports[value]
            else:
                environment[key] = _on_host(value, by_name)
        return environment


def _on_host(value: str, services: Mapping[str, Service]) -> str:
    for name, service in services.items():
        address = rf"(?<![\w.-]){re.escape(name)}:{service.container_port}(?!\d)"
        value = re.sub(address, f"{HOST}:{service.host_port}", value)
    return value


def variables(compose_file: Path) -> dict[str, str | None]:
    """Every JEEX_ variable that the file names, with its default as written (None where it has none)."""
    found: dict[str, str | None] = {}

    def visit(node: Any) -> None:
        if isinstance(node, str):
            for reference in references(node):
                default = reference.operand if reference.operator.endswith("-") else None
                if reference.name.startswith("JEEX_") and found.get(reference.name) is None:
                    found[reference.name] = default
        elif isinstance(node, dict):
            for child in node.values():
                visit(child)
        elif isinstance(node, list):
            for child in node:
                visit(child)

    try:
        visit(_document(compose_file))
    except InterpolationError as error:
        raise ConfigError(f"{compose_file}: {error}", hint=f"correct {compose_file}") from error
    return found


def load(compose_file: Path, variables: Mapping[str, str], profiles: Collection[str] = ()) -> Stack:
    """Read and interpret `compose_file`. Raises ConfigError for anything in it that cannot be used."""
    document = _document(compose_file)
    reader = _Reader(compose_file, variables)
    project = reader.text(document.get("name") or "jeex", "name")
    raw = document.get("services")
    if not isinstance(raw, dict) or not raw:
        raise reader.error("services", "there are none")
    completed = {
        str(other)
        for body in raw.values()
        if isinstance(body, dict)
        for other, need in reader.needs(body).items()
        if need == "completed"
    }
    services = [reader.service(str(name), body, str(name) in completed) for name, body in raw.items()]
    active = [one for one in services if not one.profiles or set(one.profiles) & set(profiles)]
    _refuse_shared_ports(reader, active)
    return Stack(project, tuple(_in_order(reader, active, {one.name for one in services})))


def _document(compose_file: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(compose_file.read_text(encoding="utf-8"), loader)  # noqa: S506 - both are safe loaders
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {compose_file}: {error}", hint="name another folder: jeex --project DIR") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(
            f"{compose_file}{where}: not valid YAML: {getattr(error, 'problem', None) or error}",
            hint=f"correct it near line {mark.line + 1}" if mark is not None else "correct the file",
        ) from error
    if not isinstance(document, dict):
        raise ConfigError(f"{compose_file}: not a compose file: there are no services in it", hint="restore it from git")
    return document


@dataclass(frozen=True, slots=True)
class _Reader:
    file: Path
    variables: Mapping[str, str]

    def error(self, where: str, what: str) -> ConfigError:
        return ConfigError(
            f"{self.file}: {where}: {what}", hint=f"correct it; docker compose -f '{self.file}' config checks it"
        )

    def text(self, value: Any, where: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return ""
        if not isinstance(value, str | int | float):
            raise self.error(where, "a text was expected")
        try:
            return interpolate(str(value), self.variables)
        except InterpolationError as error:
            raise self.error(where, str(error)) from error

    def service(self, name: str, body: Any, one_shot: bool) -> Service:
        if not isinstance(body, dict):
            raise self.error(f"services.{name}", "a mapping was expected")
        extra = body.get("x-jeex")
        if not isinstance(extra, dict):
            raise self.error(f"services.{name}", "it has no `x-jeex` key with at least a `title`")
        host_port, container_port = self.port(body, name)
        return Service(
            name=name,
            title=self.text(extra.get("title") or name, f"services.{name}.x-jeex.title"),
            image=self.text(body.get("image"), f"services.{name}.image"),
            command=self.command(body.get("command"), name),
            environment=MappingProxyType(self.environment(body.get("environment"), name)),
            host_port=host_port,
            container_port=container_port,
            needs=MappingProxyType(self.needs(body)),
            probe=self.probe(extra.get("probe"), name),
            program=self.optional(extra.get("program"), f"services.{name}.x-jeex.program"),
            url=self.optional(extra.get("url"), f"services.{name}.x-jeex.url"),
            profiles=tuple(self.text(one, f"services.{name}.profiles") for one in self.items(body.get("profiles"), name)),
            one_shot=one_shot,
        )

    def optional(self, value: Any, where: str) -> str | None:
        return None if value is None else self.text(value, where)

    def items(self, value: Any, where: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(where, "a list was expected")
        return value

    def command(self, value: Any, name: str) -> tuple[str, ...]:
        where = f"services.{name}.command"
        if isinstance(value, str):
            import shlex

            try:
                return tuple(shlex.split(self.text(value, where)))
            except ValueError as error:
                raise self.error(where, str(error)) from error
        return tuple(self.text(part, where) for part in self.items(value, where))

    def environment(self, value: Any, name: str) -> dict[str, str]:
        where = f"services.{name}.environment"
        if isinstance(value, list):
            pairs = [self.text(item, where).partition("=") for item in value]
            return {key: text for key, _, text in pairs}
        if value is not None and not isinstance(value, dict):
            raise self.error(where, "a mapping or a list was expected")
        return {str(key): self.text(item, f"{where}.{key}") for key, item in (value or {}).items()}

    def needs(self, body: Mapping[str, Any]) -> dict[str, Need]:
        value = body.get("depends_on")
        if isinstance(value, list):
            return {self.text(name, "depends_on"): "started" for name in value}
        if value is not None and not isinstance(value, dict):
            raise self.error("depends_on", "a mapping or a list was expected")
        needs: dict[str, Need] = {}
        for name, how in (value or {}).items():
            condition = how.get("condition") if isinstance(how, dict) else None
            if not isinstance(condition, str) or condition not in _NEEDS:
                raise self.error(f"depends_on.{name}", f"`condition` must be one of {', '.join(_NEEDS)}")
            needs[str(name)] = _NEEDS[condition]
        return needs

    def port(self, body: Mapping[str, Any], name: str) -> tuple[int | None, int | None]:
        where = f"services.{name}.ports"
        ports = self.items(body.get("ports"), where)
        if not ports:
            return None, None
        if len(ports) > 1:
            raise self.error(where, "jeex knows one published port a service")
        text = self.text(ports[0], where)
        parts = text.split(":")
        if len(parts) < 2:
            raise self.error(where, f"{text!r} is not of the form ADDRESS:PORT:CONTAINER_PORT")
        return self.number(parts[-2], where), self.number(parts[-1].removesuffix("/tcp"), where)

    def number(self, text: str, where: str) -> int:
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65_536:
            raise self.error(where, f"{text!r} is no port (1 to 65535)")
        return int(text)

    def probe(self, value: Any, name: str) -> Probe | None:
        where = f"services.{name}.x-jeex.probe"
        if value is None:
            return None
        kind = value.get("kind") if isinstance(value, dict) else None
        match kind:
            case "http":
                return HttpProbe(self.text(value.get("path") or "/", where))
            case "postgres":
                return PostgresProbe()
            case "redis":
                return RedisProbe()
        raise self.error(where, f"kind {kind!r} is none of http, postgres, redis")


def _refuse_shared_ports(reader: _Reader, services: list[Service]) -> None:
    by_port: dict[int, str] = {}
    for service in services:
        if service.host_port is not None:
            other = by_port.setdefault(service.host_port, service.name)
            if other != service.name:
                raise reader.error(f"services.{service.name}.ports", f"{other} publishes {service.host_port} too")


def _in_order(reader: _Reader, services: list[Service], declared: Collection[str]) -> list[Service]:
    ordered: list[Service] = []
    left = list(services)
    for service in left:
        for other in service.needs:
            if other not in declared:
                raise reader.error(f"services.{service.name}.depends_on", f"there is no service {other!r}")
    active = {service.name for service in services}
    while left:
        done = {service.name for service in ordered}
        ready = next((one for one in left if all(other in done or other not in active for other in one.needs)), None)
        if ready is None:
            raise reader.error("services", f"these wait for each other: {', '.join(one.name for one in left)}")
        ordered.append(ready)
        left.remove(ready)
    return ordered
