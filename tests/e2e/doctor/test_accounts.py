"""Who runs jeex: an ordinary user in a closed home, and root without user namespaces. Neither has a false alarm."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import kill_leftovers, make_cli
from tests.e2e.doctor.conftest import Patient, root_only
from tests.e2e.test_machines import NOBODY, ROOT, without_unshare

pytestmark = [pytest.mark.e2e, root_only]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="jeex-e2e-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def with_this_python(place: Path) -> tuple[str, ...]:
    """What lets another user run this very Python, which may stand in a closed home: nothing else of that home is there."""
    prefix = Path(sys.base_prefix)
    closed = [part for part in (*reversed(prefix.parents), prefix) if not part.stat().st_mode & 0o001]
    if not closed:
        return ()
    (place / "python").mkdir()
    here, there, home = (shlex.quote(str(one)) for one in (place / "python", prefix, closed[0]))
    script = (
        f"mount --bind {there} {here}",
        f"mount -t tmpfs -o mode=0755 none {home}",
        f"mkdir -p {there}",
        f"mount --bind {here} {there}",
        'exec "$@"',
    )
    return ("unshare", "--mount", "sh", "-c", " && ".join(script), "sh")


@pytest.fixture(scope="module")
def ordinary(place: Path) -> Iterator[Patient]:
    """A whole stack of an ordinary user's. That it has no finding is the first thing that is tested."""
    if not all(part.stat().st_mode & 0o001 for part in (ROOT, *ROOT.parents)):
        pytest.skip("this checkout is in a folder that other users cannot enter")
    cli = make_cli(place / "home of a user", "my project")
    (place / "home of a user").chmod(0o700)
    for path in (place / "home of a user", cli.folder, cli.home):
        os.chown(path, NOBODY, NOBODY)
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    cli.program = (*with_this_python(place), *become, sys.executable, "-m", "jeex_cli")
    one = Patient(cli)
    try:
        cli.run("up")
        one.learn()
        yield one
        one.is_well()
        cli.run("down", "--delete-data", "--yes")
        cli.assert_nothing_left()
    finally:
        kill_leftovers(cli)


def test_a_healthy_stack_of_an_ordinary_user_has_no_finding(ordinary: Patient) -> None:
    assert set(ordinary.well.values()) <= {"ok", "skipped"}
    assert (ordinary.cli.folder / ".env").stat().st_uid == NOBODY
    ordinary.is_well()


def test_a_file_that_sudo_has_left(ordinary: Patient) -> None:
    file = ordinary.cli.folder / ".jeex" / "data" / "redis" / "left.rdb"
    file.write_text("")
    one = ordinary.finds("folder-owner", "fail", "left.rdb", "user 0", f"sudo chown -R {NOBODY}:")
    assert one["repair"] == ""  # this user may not
    subprocess.run(shlex.split(one["fix"].removeprefix("sudo ")), check=True)
    assert file.stat().st_uid == NOBODY
    ordinary.is_well()
    file.unlink()


def test_folders_that_cannot_be_looked_into_are_not_said_to_be_well(ordinary: Patient) -> None:
    run = ordinary.cli.folder / ".jeex" / "run"
    os.chown(run, 0, 0)
    found = ordinary.doctor("--only", "folders,programs")
    assert found["folder-owner"]["level"] == found["folder-writable"]["level"] == "fail"
    assert str(run) in found["folder-owner"]["fix"]
    blind = ("folder-place", "folder-mode", "log-size", "processes-lost", "records-readable")
    assert {name: found[name]["level"] for name in blind} == dict.fromkeys(blind, "unknown")
    assert all(one["repair"] == "" for one in found.values())  # none takes servers for lost that it cannot tell from others
    subprocess.run(shlex.split(found["folder-owner"]["fix"].removeprefix("sudo ")), check=True)
    ordinary.is_well()


def test_a_folder_of_jeex_that_is_roots(ordinary: Patient) -> None:
    folder = ordinary.cli.folder / ".jeex"
    os.chown(folder, 0, 0)
    found = ordinary.doctor()
    error = ordinary.cli.json("status", code=3)
    os.chown(folder, NOBODY, NOBODY)
    assert (error["code"], "sudo chown" in error["hint"]) == ("NOT_READABLE", True)
    assert (found["state-file"]["summary"], found["state-file"]["repair"]) == (error["message"], "")
    assert found["folder-owner"]["level"] == found["folder-writable"]["level"] == "fail"
    assert f"{folder} belongs to user 0" in found["folder-owner"]["summary"]
    assert [one for one in found.values() if "bug" in one["summary"]] == []
    assert {one["level"] for one in found.values() if one["group"] == "host"} == {"ok"}
    ordinary.is_well()


@pytest.mark.parametrize("name", [".env", ".jeex/run/redis.pid", ".jeex/state.json"])
def test_a_file_of_roots_that_jeex_reads_hides_no_owner(ordinary: Patient, name: str) -> None:
    file = ordinary.cli.folder / name
    os.chown(file, 0, 0)
    found = ordinary.doctor("--only", "folder-owner,processes-lost")
    os.chown(file, NOBODY, NOBODY)
    assert found["folder-owner"]["level"] == "fail"
    assert f"{file} belongs to user 0" in found["folder-owner"]["summary"]
    assert found["processes-lost"]["level"] in ("ok", "unknown")
    assert "bug" not in found["processes-lost"]["summary"]


def test_a_folder_that_its_owner_may_not_write(ordinary: Patient) -> None:
    logs = ordinary.cli.folder / ".jeex" / "logs"
    logs.chmod(0o500)
    ordinary.finds("folder-writable", "fail", str(logs), "Permission denied", "chown")
    logs.chmod(0o700)
    ordinary.is_well()


def test_a_user_who_may_have_few_more_processes(ordinary: Patient) -> None:
    program = ordinary.cli.program
    threads = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            threads += len(list((folder / "task").iterdir())) if folder.stat().st_uid == NOBODY else 0
        except OSError:
            continue
    ordinary.cli.program = ("prlimit", f"--nproc={threads + 70}", *program)
    one = ordinary.doctor("--only", "host-limits")["host-limits"]
    ordinary.cli.program = program
    assert one["level"] == "warn"
    assert "more processes and threads" in one["summary"]
    assert "ulimit -u" in one["fix"]
    ordinary.is_well()


def test_a_healthy_stack_of_root_without_user_namespaces_has_no_finding(place: Path) -> None:
    tools = place / "bin"
    tools.mkdir()
    one = Patient(make_cli(place / "work"))
    (place / "work").chmod(0o755)
    one.cli.extra["PATH"] = without_unshare(tools)
    try:
        one.cli.run("up")
        one.learn()
        assert (one.cli.folder / ".jeex" / "data" / "postgres").stat().st_uid == NOBODY
        one.cli.run("down", "--delete-data", "--yes")
        one.cli.assert_nothing_left()
    finally:
        kill_leftovers(one.cli)
