"""A whole stack of its own for each test: its folder, its home, its ports; nothing of it may be left behind."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.docker.stack import docker

JEEX = Path(sys.executable).with_name("jeex")
SERVICES = ("FRONTEND", "API", "POSTGRES", "QDRANT", "REDIS", "VAULT")


def _ports_of_this_worker() -> Iterator[int]:
    """Below those the kernel gives to outgoing connections; no other worker gets them, and none comes again soon: a project
    that is stopped keeps its ports, though nothing listens on them.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = range(12_000 + worker * 2_000, 14_000 + worker * 2_000)
    return itertools.cycle(random.sample(mine, len(mine)))


_PORTS = _ports_of_this_worker()


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    found: list[int] = []
    for port in itertools.islice(_PORTS, 2_000):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


@dataclass
class Cli:
    """`jeex` as a user runs it: a subprocess in `folder`, with an environment of its own."""

    folder: Path
    home: Path
    ports: dict[str, int]
    extra: dict[str, str] = field(default_factory=dict)
    runtime: str = "embedded"
    program: tuple[str, ...] = (str(JEEX),)

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "JEEX_RUNTIME": self.runtime,
            **{f"JEEX_{name}_PORT": str(port) for name, port in self.ports.items()},
            **self.extra,
        }

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end, with `text` on stdin; the exit code must be `code`."""
        process = self.start(*arguments, stdin=subprocess.DEVNULL if text is None else subprocess.PIPE)
        try:
            out, err = process.communicate(text, timeout=100)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"jeex {' '.join(arguments)} hangs\n{out}\n{err}\n{self.logs()}")
        assert process.returncode == code, f"jeex {' '.join(arguments)}: {process.returncode}\n{out}\n{err}\n{self.logs()}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, code: int = 0, text: str | None = None) -> Any:
        """The `data` (or, for a failure, the `error`) of a `--json` run; stdout must be that one document."""
        document = json.loads(self.run(*arguments, "--json", code=code, text=text).stdout)
        assert document["version"] == 1
        assert document["ok"] is (code == 0)
        return document["data"] if code == 0 else document["error"]

    def services(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.json("status")["services"]}

    def containers(self) -> list[str]:
        """Every container, volume and network that this project has in the engine."""
        env = self.folder / ".env"
        found = re.search(r"^JEEX_PROJECT=(.+)$", env.read_text(), re.MULTILINE) if env.exists() else None
        if self.runtime != "compose" or found is None:
            return []
        ours = ("--quiet", "--filter", f"label=com.docker.compose.project={found[1]}")
        return [
            f"{kind[0]} {one}"
            for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
            for one in docker(*kind, *ours).stdout.split()
        ]

    def logs(self) -> str:
        files = sorted((self.folder / ".jeex" / "logs").glob("*.log"))
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in files)

    def processes(self) -> list[str]:
        """Every process of this machine that works in this project's folder or was started from it."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cwd = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(self.folder / ".jeex") in command or cwd.startswith(str(self.folder / ".jeex")):
                found.append(f"{entry.name}: {command}")
        return found

    def open_ports(self) -> list[int]:
        open_ones = []
        for port in self.ports.values():
            with socket.socket() as one:
                one.settimeout(0.5)
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    open_ones.append(port)
        return open_ones

    def assert_nothing_left(self) -> None:
        deadline = time.monotonic() + 2
        while (self.processes() or self.open_ports()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.processes() == []
        assert self.open_ports() == []


def make_cli(root: Path, name: str = "project") -> Cli:
    folder, home = root / name, root / f"{name}-home"
    folder.mkdir(parents=True)
    home.mkdir(mode=0o700)
    return Cli(folder, home, dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True)))


@pytest.fixture(params=["embedded", pytest.param("compose", marks=pytest.mark.docker)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cli]:
    """The same, with Docker and without: what jeex promises holds for both. Nothing of it is left in the engine."""
    one = make_cli(tmp_path)
    one.runtime = request.param
    if one.runtime == "compose":
        one.extra["JEEX_SERVICE_IMAGE"] = request.getfixturevalue("image")
    yield one
    try:
        one.run("down", "--delete-data", "--yes")
        one.assert_nothing_left()
        assert one.containers() == []
    finally:
        kill_leftovers(one)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """An empty project; whatever the test does, `jeex down` must leave nothing behind."""
    one = make_cli(tmp_path)
    yield one
    try:
        one.run("down")
        one.assert_nothing_left()
    finally:
        kill_leftovers(one)


def kill_leftovers(cli: Cli) -> None:
    for left in sorted(cli.containers(), key=lambda one: not one.startswith("ps")):
        kind, name = left.split()
        docker(
            *{"ps": ("rm", "--force", "--volumes"), "volume": ("volume", "rm"), "network": ("network", "rm")}[kind],
            name,
            check=False,
        )
    for line in cli.processes():
        try:
            os.kill(int(line.split(":", 1)[0]), signal.SIGKILL)
        except ProcessLookupError:
            continue
