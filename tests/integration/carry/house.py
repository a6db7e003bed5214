"""A project that is up without Docker, and a second embedded runtime in Docker's place to switch to.

It has data of its own, and real servers on the same ports.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import state
from jeex_cli.errors import JeexError
from jeex_cli.events import Step
from jeex_cli.ops import switch, tenants
from jeex_cli.output import Output
from jeex_cli.project import Project
from jeex_cli.runtimes import pick
from jeex_cli.runtimes.base import Runtime
from jeex_cli.runtimes.embedded import EmbeddedRuntime
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.session import Session, open_session
from jeex_cli.state import State
from tests.integration.service.machine import free_port, request

ELSEWHERE = "elsewhere"
SECRET = "secret/data/jeex/settings"


@dataclass
class Watched(Output):
    """Notes every step; at the one that is named, the user presses Ctrl-C or something fails."""

    steps: list[Step] = field(default_factory=list)
    at: tuple[str, str, int] | None = None
    then: type[BaseException] = KeyboardInterrupt

    def step(self, step: Step) -> None:
        self.steps.append(step)
        count = sum((one.id, one.status) == (step.id, step.status) for one in self.steps)
        if self.at == (step.id, step.status, count):
            raise self.then()


@dataclass
class House:
    """A project that is up, with a tenant, a secret and a job."""

    root: Path
    environ: dict[str, str]
    key: str = ""
    token: str = ""

    def session(self, output: Output | None = None, **flags: str) -> Session:
        made = output or Output(stdout=io.StringIO(), stderr=io.StringIO())
        return open_session(folder=str(self.root), flags=flags, environ=self.environ, output=made, cwd=self.root)

    def port(self, name: str) -> str:
        return self.environ[f"JEEX_{name}_PORT"]

    def api(self, method: str, path: str, key: str) -> tuple[int, Any]:
        return request(method, f"http://127.0.0.1:{self.port('API')}{path}", None, {"Authorization": f"Bearer {key}"})[:2]

    def vault(self, method: str, data: object = None) -> Any:
        secret = self.session().stack.service("seed").environment["VAULT_OPERATOR_SECRET"]
        address = f"http://127.0.0.1:{self.port('VAULT')}/v1/"
        login = {"role_id": "jeex-operator", "secret_id": secret}
        token = request("POST", f"{address}auth/approle/login", login)[1]["auth"]["client_token"]
        return request(method, f"{address}{SECRET}", data, {"X-Vault-Token": token})[1]

    def redis(self) -> Any:
        import redis

        password = self.session().stack.service("redis").environment["REDISCLI_AUTH"]
        return redis.Redis(port=int(self.port("REDIS")), password=password)

    def fill(self) -> None:
        self.key = tenants.create(self.session(), "acme", "alice@acme.example", None)["key"]
        self.token = self.api("POST", "/api/v1/tokens", self.key)[1]["access_token"]
        self.vault("POST", {"data": {"KEPT": "yes"}})
        with self.redis() as client:
            client.xadd("jobs", {"a": "b"}, id="1-1")

    def check(self) -> None:
        """Everything that was made is there, and works."""
        assert self.api("GET", "/api/v1/whoami", self.key)[0] == 200
        assert self.api("GET", "/api/v1/projects", self.token)[0] == 200  # signed with a key that is in Vault
        assert self.api("POST", "/api/v1/tokens", self.key)[0] == 201
        assert self.vault("GET")["data"]["data"] == {"KEPT": "yes"}
        with self.redis() as client:
            assert client.xrange("jobs") == [(b"1-1", {b"a": b"b"})]

    def data(self, where: str = "") -> list[str]:
        folder = self.root / where / ".jeex" / "data"
        return sorted(path.name for path in folder.glob("*")) if folder.exists() else []

    def runtime(self, name: str) -> Runtime:
        return pick.made(self.session().place, name)

    def stop(self) -> None:
        for name in ("embedded", "compose"):
            self.runtime(name).stop(self.session().stack, (), lambda _: None)


def made(place: Place, name: str) -> Runtime:
    if name == "embedded":
        return EmbeddedRuntime(place)
    return EmbeddedRuntime(replace(place, project=Project(place.project.root / ELSEWHERE)), name="compose")


def project(root: Path) -> House:
    """A folder with ports of its own; nothing runs yet."""
    names = ("FRONTEND", "API", "POSTGRES", "QDRANT", "REDIS", "VAULT")
    ports = {f"JEEX_{name}_PORT": str(free_port()) for name in names}
    state.save(Project(root), State("embedded"))
    return House(root, {"PATH": os.environ["PATH"], "HOME": str(root), **ports})


def switched(house: House, target: str, output: Output | None = None) -> switch.Switched:
    return switch.switch(house.session(output), target, carry_data=True)


def attempt(house: House, **watched: Any) -> JeexError:
    """A switch that does not end well."""
    with pytest.raises(JeexError) as failed:
        switched(house, "compose", Watched(stdout=io.StringIO(), stderr=io.StringIO(), **watched))
    return failed.value
