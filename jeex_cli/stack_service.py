"""One service of compose.yaml: what jeex knows of it, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from jeex_cli.compose_file import Date, Document, Value
from jeex_cli.compose_values import check_address, number_text, port, published, words
from jeex_cli.errors import ConfigError
from jeex_cli.host_address import HOST, Ports

Need = Literal["started", "healthy", "completed"]
_NEEDS: Mapping[str, Need] = MappingProxyType(
    {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "completed"}
)
_NAME = re.compile(r"[a-zA-Z0-9._-]+")
# What changes a service from elsewhere: to leave it unread would be to run something else than Compose does.
_ELSEWHERE = {"extends": "share keys with an anchor (<<: *name)", "env_file": "write it under `environment`, out of .env"}


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
    one_shot: bool = False  # another service needs it completed: it does its work and ends

    @property
    def address(self) -> str | None:
        """Its page, for people."""
        return None if self.url is None or self.host_port is None else f"http://{HOST}:{self.host_port}{self.url}"

    @property
    def ports(self) -> Ports | None:
        """The published port and the one in the container, where it has them."""
        return None if self.host_port is None or self.container_port is None else (self.host_port, self.container_port)

    def active(self, profiles: Collection[str]) -> bool:
        """Whether it runs when `profiles` are asked for; `*` stands for all."""
        return not self.profiles or "*" in profiles or not set(self.profiles).isdisjoint(profiles)


@dataclass(frozen=True, slots=True)
class ServiceReader:
    """Reads the service `name`; every method raises ConfigError where Compose would refuse, too."""

    document: Document
    variables: Mapping[str, str]
    project: str
    name: str
    body: Mapping[str, Value]

    def error(self, what: str, fix: str, *below: str | int) -> ConfigError:
        return self.document.error(("services", self.name, *below), what, fix)

    def service(self, one_shot: bool) -> Service:
        if not _NAME.fullmatch(self.name):
            raise self.error("not a service's name", "use letters, digits, `.`, `_` and `-`")
        for key, fix in _ELSEWHERE.items():
            if key in self.body:
                raise self.error("jeex does not read it", fix, key)
        extra = self.body.get("x-jeex")
        if not isinstance(extra, dict):
            raise self.error("it has no `x-jeex` mapping", f"add for example  x-jeex: {{ title: {self.name} }}")
        ports = self.ports()
        probe = self.probe(extra.get("probe"), ports)
        return Service(
            name=self.name,
            title=self.text("x-jeex", "title") or self.name,
            image=self.image(),
            command=self.command(),
            environment=MappingProxyType(self.environment()),
            host_port=ports[0] if ports else None,
            container_port=ports[1] if ports else None,
            needs=MappingProxyType(self.needs()),
            probe=probe,
            program=self.text("x-jeex", "program"),
            url=self.path("x-jeex", "url"),
            profiles=tuple(self.texts("profiles")),
            one_shot=one_shot,
        )

    def value(self, *where: str) -> Value:
        found: Value = dict(self.body)
        for step in where:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def text(self, *where: str) -> str | None:
        value = self.value(*where)
        if value is None or (isinstance(value, str) and not isinstance(value, Date)):
            return value
        raise self.error("text was expected", "put it in quotes", *where)

    def path(self, *where: str) -> str | None:
        text = self.text(*where)
        if text is not None and not text.startswith("/"):
            raise self.error(f"{text!r} is no path", "begin it with /", *where)
        return text

    def texts(self, key: str) -> list[str]:
        """The list under `key`. Compose accepts no empty value in its place, only its absence."""
        value = self.body.get(key, [])
        if not isinstance(value, list):
            raise self.error("a list was expected", f"write {key}: [...], or take the key out", key)
        for index, item in enumerate(value):
            if not isinstance(item, str) or isinstance(item, Date):
                raise self.error("text was expected", "put it in quotes", key, index)
        return [item for item in value if isinstance(item, str)]

    def image(self) -> str:
        image = self.text("image")
        if not image and "build" not in self.body:
            raise self.error("it has neither an image nor a build", "add  image: NAME:VERSION")
        return image or f"{self.project}-{self.name}"  # the name that Compose builds under

    def command(self) -> tuple[str, ...]:
        value = self.body.get("command")
        if value is None:
            return ()
        if not isinstance(value, str):
            return tuple(self.texts("command"))
        try:
            return words(value)
        except ValueError as error:
            raise self.error(str(error), "write the command as a list: [program, argument, ...]", "command") from error

    def environment(self) -> dict[str, str]:
        """A name without a value takes it from the variables; where these have none, it is left out."""
        value = self.body.get("environment", {})
        found: dict[str, str | None] = {}
        if isinstance(value, dict):
            found = {key: self.scalar(item, key) for key, item in value.items()}
        elif isinstance(value, list):
            for item in self.texts("environment"):
                key, assigned, text = item.partition("=")
                found[key] = text if assigned else None
        else:
            raise self.error(
                "a mapping or a list was expected", "write NAME: value lines, or take the key out", "environment"
            )
        for key in found:
            if not key.strip() or "=" in key or key != key.rstrip():
                raise self.error(f"{key!r} cannot be a variable's name", "correct the name", "environment", key)
        given = {key: self.variables.get(key) if text is None else text for key, text in found.items()}
        return {key: text for key, text in given.items() if text is not None}

    def scalar(self, value: Value, key: str) -> str | None:
        """The text that a program finds in its environment."""
        if value is None or (isinstance(value, str) and not isinstance(value, Date)):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            try:
                return number_text(value)
            except ValueError as error:
                raise self.error(str(error), "put it in quotes", "environment", key) from error
        kind = "a date would come out in another notation" if isinstance(value, Date) else "text or a number was expected"
        raise self.error(kind, "put it in quotes", "environment", key)

    def needs(self) -> dict[str, Need]:
        value = self.body.get("depends_on", {})
        if isinstance(value, list):
            return dict.fromkeys(self.texts("depends_on"), "started")
        if not isinstance(value, dict):
            raise self.error("a mapping or a list was expected", "write NAME: { condition: ... }", "depends_on")
        needs: dict[str, Need] = {}
        for other, how in value.items():
            condition = how.get("condition") if isinstance(how, dict) else None
            if not isinstance(condition, str) or condition not in _NEEDS:
                fix = f"make it {{ condition: ... }} with one of {', '.join(_NEEDS)}"
                raise self.error("it needs a `condition` that Compose knows", fix, "depends_on", other)
            needs[other] = _NEEDS[condition]
        return needs

    def requires(self, other: str) -> bool:
        """Whether it cannot run without `other`, which it needs."""
        required = self.value("depends_on", other, "required")
        if required not in (None, True, False, "true", "false"):
            raise self.error("true or false was expected", "correct it", "depends_on", other, "required")
        return required not in (False, "false")

    def ports(self) -> Ports | None:
        entries = self.body.get("ports", [])
        if not isinstance(entries, list):
            raise self.error("a list was expected", 'write ports: ["127.0.0.1:PORT:CONTAINER_PORT"]', "ports")
        found = {self.port_entry(index, entry) for index, entry in enumerate(entries)}
        if len(found) > 1:
            raise self.error("jeex knows one published port a service", "take the others out", "ports")
        return found.pop() if found else None

    def port_entry(self, index: int, entry: Value) -> Ports:
        try:
            if isinstance(entry, str | int) and not isinstance(entry, bool):
                return published(str(entry))
            if not isinstance(entry, dict):
                raise ValueError("neither ADDRESS:PORT:CONTAINER_PORT nor a mapping")
            check_address(str(entry.get("host_ip") or ""))
            if entry.get("protocol", "tcp") != "tcp":
                raise ValueError("not published over TCP, which is all that jeex knows")
            return self.number(entry.get("published"), "published"), self.number(entry.get("target"), "target")
        except ValueError as error:
            raise self.error(str(error), "write it like 127.0.0.1:5210:8000", "ports", index) from error

    def number(self, value: Value, key: str) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"`{key}` must be a port (1 to 65535)")
        return port(str(value))

    def probe(self, value: Value, ports: Ports | None) -> Probe | None:
        if value is None:
            return None
        if ports is None:
            raise self.error(
                "nothing can be asked without a published port", "add `ports`, or take it out", "x-jeex", "probe"
            )
        match self.text("x-jeex", "probe", "kind") if isinstance(value, dict) else value:
            case "http":
                return HttpProbe(self.path("x-jeex", "probe", "path") or "/")
            case "postgres":
                return PostgresProbe()
            case "redis":
                return RedisProbe()
        raise self.error("`kind` must be one of http, postgres, redis", "correct it", "x-jeex", "probe")
