"""Faults of folders and file systems."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.doctor.conftest import Patient, in_namespace, mounted, root_only
from tests.e2e.doctor.fuse import mounted as own_file_system
from tests.e2e.doctor.test_programs import VERSIONS, copied

pytestmark = pytest.mark.e2e


with_fuse = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="there is no /dev/fuse here")


@pytest.fixture
def small(project: Patient, tmp_path: Path) -> Iterator[Patient]:
    """A project whose folder is a file system of its own, 8 MiB and few files large."""
    with mounted(project.cli.folder, "size=8m,nr_inodes=900,mode=0755"):
        yield project


def test_a_file_where_a_folder_should_be(stopped: Patient) -> None:
    run = stopped.cli.folder / ".jeex" / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.write_text("")
    stopped.finds("folder-place", "fail", str(run), "is a file", "mv")
    run.unlink()
    run.symlink_to("nowhere")
    stopped.finds("folder-place", "fail", str(run), "a link that leads nowhere")
    run.unlink()
    stopped.is_well()


def test_data_that_was_there_and_is_gone(stopped: Patient) -> None:
    data = stopped.cli.folder / ".jeex" / "data" / "postgres"
    data.rename(data.with_name("hidden"))
    stopped.finds("folder-place", "fail", "PostgreSQL is gone", str(data), "backup")
    data.with_name("hidden").rename(data)
    stopped.is_well()


@root_only
def test_data_of_another_owner_keeps_up_from_starting(stopped: Patient) -> None:
    data = stopped.cli.folder / ".jeex" / "data" / "postgres"
    subprocess.run(["chown", "-R", "1234:1234", str(data)], check=True)
    one = stopped.finds("folder-owner", "fail", "user 1234", "chown -R 0:0")
    error = stopped.cli.json("up", "postgres", code=3)
    assert (error["code"], error["message"], error["hint"]) == ("DATA_OWNER", one["summary"], one["fix"])
    stopped.fixes("folder-owner")
    assert {path.lstat().st_uid for path in (data, *data.rglob("*"))} == {0}


def test_folders_and_secrets_that_others_can_get_into(stopped: Patient) -> None:
    folder = stopped.cli.folder / ".jeex"
    keys = folder / "vault-keys.json"
    keys.write_text("{}")
    keys.chmod(0o644)
    folder.chmod(0o755)
    (folder / "data" / "postgres").chmod(0o755)
    stopped.finds("folder-mode", "fail", str(folder), str(keys), "0755", "chmod 0700")
    stopped.fixes("folder-mode")
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "data" / "postgres", keys)] == [0o700, 0o700, 0o600]
    keys.unlink()


def test_settings_of_a_running_service_that_others_can_read(healthy: Patient) -> None:
    file = next(one for one in sorted((healthy.cli.folder / ".jeex" / "run").rglob("*")) if one.is_file())
    mode = file.stat().st_mode & 0o777
    file.chmod(0o644)
    healthy.finds("folder-mode", "fail", str(file))
    healthy.fixes("folder-mode")
    assert mode == file.stat().st_mode & 0o777 == 0o600


@root_only
def test_a_read_only_file_system(stopped: Patient) -> None:
    program = stopped.cli.program
    folder = stopped.cli.folder
    in_namespace(stopped.cli, f"mount --bind '{folder}' '{folder}'", f"mount -o remount,bind,ro '{folder}'")
    one = stopped.finds("folder-writable", "fail", str(folder), "Read-only file system")
    error = stopped.cli.json("up", code=3)
    assert error["code"] == "NOT_WRITABLE"
    assert one["summary"].split(":")[-1] in error["message"]
    stopped.cli.program = program
    stopped.is_well()


@root_only
def test_a_full_disk_and_a_file_system_full_of_files(small: Patient) -> None:
    found = small.doctor()
    assert found["disk-space"]["level"] == "fail"
    assert "MiB are free" in found["disk-space"]["summary"]
    error = small.cli.json("up", code=3)
    words = r"\d MiB are free in .+; the stack needs 300 MiB"
    assert error["code"] == "DISK_FULL"
    assert re.fullmatch(words, error["message"])
    assert re.fullmatch(words, found["disk-space"]["summary"])
    assert found["disk-inodes"]["level"] == "fail"
    assert "more files fit" in found["disk-inodes"]["summary"]
    assert list(small.cli.folder.iterdir()) in ([], [small.cli.folder / ".jeex"])


@root_only
def test_little_room_is_a_warning(project: Patient) -> None:
    with mounted(project.cli.folder, "size=500m,nr_inodes=3000,mode=0755"):
        found = project.doctor("--only", "folders")
        assert found["disk-space"]["level"] == found["disk-inodes"]["level"] == "warn"
        assert found["disk-space"]["fix"]


@root_only
def test_a_file_system_that_lets_no_program_start(stopped: Patient, tmp_path: Path) -> None:
    # A copy of the server's folder on a file system of its own: what a hardened /home or /tmp is.
    place = tmp_path / "programs"
    place.mkdir()
    with mounted(place, "size=500m,noexec"):
        stopped.cli.extra["JEEX_POSTGRES_BIN"] = str(copied(place) / "bin")
        try:
            one = stopped.finds("disk-noexec", "fail", "noexec", str(place), also=("programs-load", *VERSIONS))
            assert stopped.cli.json("up", code=3)["message"] == one["summary"]
            subprocess.run(["mount", "-o", "remount,exec", str(place)], check=True)
            assert stopped.doctor("--only", "disk-noexec")["disk-noexec"]["level"] == "ok"
        finally:
            del stopped.cli.extra["JEEX_POSTGRES_BIN"]
    stopped.is_well()


@root_only
def test_logs_on_a_full_file_system_of_their_own(stopped: Patient) -> None:
    logs = stopped.cli.folder / ".jeex" / "logs"
    with mounted(logs, "size=4m,mode=0700"):
        stopped.finds("disk-space", "fail", str(logs), "MiB are free")
    stopped.is_well()


@root_only
@with_fuse
def test_a_file_system_that_ignores_case(project: Patient) -> None:
    with own_file_system(project.cli.folder, "plain", ignores_case=True):
        found = project.doctor("--only", "folders")
        assert found["disk-case"]["level"] == "warn"
        assert "differ in case" in found["disk-case"]["summary"]
        assert found["disk-case"]["fix"]
        assert found["disk-network"]["level"] == "ok"


@root_only
@with_fuse
def test_a_file_system_of_another_machine(project: Patient) -> None:
    with own_file_system(project.cli.folder, "sshfs"):
        found = project.doctor("--only", "folders")
        assert found["disk-network"]["level"] == "warn"
        assert "network or shared file system (fuse.sshfs)" in found["disk-network"]["summary"]
        assert f"mounted at {project.cli.folder}" in found["disk-network"]["evidence"][0]
        assert found["disk-network"]["fix"]
        assert found["disk-case"]["level"] == "ok"


def test_logs_that_have_grown_large(stopped: Patient) -> None:
    logs = stopped.cli.folder / ".jeex" / "logs"
    old = logs / "api.log.1"
    with old.open("wb") as file:  # all holes: it takes no room, and counts like any other
        file.truncate(600 * 1024 * 1024)
    stopped.finds("log-size", "warn", "600 MiB", str(old))
    stopped.fixes("log-size")
    assert not old.exists()
    assert (logs / "api.log").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_of_somebody_else(stopped: Patient) -> None:
    folder = stopped.cli.folder / ".jeex" / "data"
    folder.chmod(0o500)
    stopped.finds("folder-writable", "fail", str(folder))
    folder.chmod(0o700)
    stopped.is_well()
