"""compose.yaml in a folder of its own, run by a real Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeex_cli import dotenv, environment_file
from jeex_cli.project import Project, bundled
from jeex_cli.settings import SECRETS
from tests.integration.service.machine import free_port, request, until

ROOT = Path(__file__).parents[2]
JEEX = Path(sys.executable).with_name("jeex")
SERVICES = ("FRONTEND", "API", "POSTGRES", "QDRANT", "REDIS", "VAULT")
ONE_SHOT = {"migrate", "seed"}
SERVED = {"postgres", "redis", "vault", "api", "frontend", "worker"}


def docker(*arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """The docker program; its output and exit code."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert not check or ran.returncode == 0, f"docker {' '.join(arguments)}\n{ran.stdout}\n{ran.stderr}"
    return ran


@dataclass
class Stack:
    """A project: its folder holds compose.yaml, the templates, and a `.env` as `jeex up` makes it."""

    folder: Path
    image: str
    variables: dict[str, str] = field(default_factory=dict)

    def make(self) -> None:
        self.folder.mkdir()
        shutil.copy(bundled("compose.yaml"), self.folder)
        shutil.copytree(bundled("templates"), self.folder / "templates")
        environment_file.ensure(Project(self.folder), {}, set())
        free: set[int] = set()
        while len(free) < len(SERVICES):  # what is free twice is one port
            free.add(free_port())
        ports = {f"JEEX_{name}_PORT": str(port) for name, port in zip(SERVICES, free, strict=True)}
        more = {"JEEX_SERVICE_IMAGE": self.image, **ports, **self.variables}
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in more.items())
        self.variables = dotenv.parse((self.folder / ".env").read_text(), source=".env", environ={})

    @property
    def environ(self) -> dict[str, str]:
        """Of whoever runs this: everything else stands in `.env`."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    @property
    def secrets(self) -> dict[str, str]:
        """What `jeex up` has generated, by name."""
        return {name: self.variables[name] for name in SECRETS}

    def compose(self, *arguments: str, check: bool = True) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("JEEX_", "COMPOSE_"))}
        return docker("compose", *arguments, cwd=self.folder, env=environ, check=check).stdout

    def up(self, *services: str) -> None:
        """Bring it up, and wait until all of it is healthy; with `services`, those alone and without waiting."""
        self.compose("up", "--detach", *(services or ("--wait", "--wait-timeout", "100")))

    def down(self, *options: str) -> None:
        self.compose("down", "--timeout", "5", *options)

    def remove(self) -> None:
        """Everything that it left in the engine. Nothing may be there after it."""
        self.down("--volumes", "--remove-orphans")
        ours = ("--quiet", "--filter", f"label=com.docker.compose.project={self.variables['JEEX_PROJECT']}")
        for left in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            assert docker(*left, *ours).stdout == "", left

    def states(self) -> dict[str, tuple[str, str]]:
        """State and health of every service."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: (one["State"], one["Health"]) for one in map(json.loads, lines)}

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(docker("inspect", self.container(service)).stdout)
        return found[0]

    def inside(self, service: str, *command: str) -> str:
        return docker("exec", self.container(service), *command).stdout

    def restart(self, service: str) -> None:
        docker("restart", "--timeout", "5", self.container(service))

    def crash(self, service: str) -> None:
        """End its process as a crash would: `docker kill` counts as a wish, after which nothing is started again."""
        before = self.inspect(service)["State"]["Pid"]
        os.kill(before, signal.SIGKILL)
        until(lambda: self.inspect(service)["State"]["Pid"] not in (0, before), seconds=30)

    def wait_healthy(self, services: Collection[str] = frozenset(SERVED)) -> None:
        until(lambda: all(self.states()[one] == ("running", "healthy") for one in services), seconds=60, pause=0.2)

    def jeex(self, *arguments: str) -> Any:
        """The data of one of jeex's answers."""
        ran = subprocess.run(
            [JEEX, "--json", *arguments], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)["data"]

    def doctor(self, *arguments: str, **environ: str) -> list[dict[str, Any]]:
        """What doctor finds."""
        ran = subprocess.run(
            [JEEX, "--json", "doctor", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(ran.stdout)["data"]["findings"]
        assert ran.returncode == (3 if any(one["level"] == "fail" for one in found) else 0), ran.stdout
        return found

    def tenant(self) -> str:
        """A tenant's API key."""
        return str(self.jeex("tenant", "create", "acme", "--admin", "alice@acme.example")["key"])

    def api(self, method: str, path: str, key: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return request(method, f"http://127.0.0.1:{self.variables['JEEX_API_PORT']}{path}", None, headers)[:2]

    def token(self, key: str) -> str:
        """A token for an API key, signed by Vault; it must be had."""
        status, body = self.api("POST", "/api/v1/tokens", key)
        assert status == 201, body
        return str(body["access_token"])

    def vault(self, method: str, path: str, data: object = None, *, token: str = "") -> tuple[int, Any]:
        headers = {"X-Vault-Token": token} if token else {}
        return request(method, f"http://127.0.0.1:{self.variables['JEEX_VAULT_PORT']}/v1/{path}", data, headers)[:2]

    def operator(self) -> str:
        """A token of the operator's."""
        data = {"role_id": "jeex-operator", "secret_id": self.variables["JEEX_VAULT_OPERATOR_SECRET"]}
        status, body = self.vault("POST", "auth/approle/login", data)
        assert status == 200, body
        return str(body["auth"]["client_token"])

    def sql(self, statement: str) -> list[str]:
        """The lines that PostgreSQL's superuser gets in the stack's database."""
        return self.inside("postgres", "psql", "-U", "postgres", "-d", "jeex", "-XAtc", statement).splitlines()
