"""Faults of the machine. What belongs to everybody is changed for jeex alone, in a mount namespace or a control group."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import JEEX
from tests.e2e.doctor.conftest import Patient, in_namespace, mounted, root_only

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.e2e


@pytest.fixture
def machine(stopped: Patient) -> Iterator[Patient]:
    """A project for which the machine may be changed; afterwards it is as before, and all is well."""
    program = stopped.cli.program
    yield stopped
    stopped.cli.program = program
    stopped.cli.extra.clear()
    stopped.is_well()


def meminfo(tmp_path: Path, **kib: int) -> str:
    """The kernel's account of memory with other numbers, as lxcfs gives it to a container; to be bound over the true one."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    changed = [f"{name}:{kib[name]:>15} kB" if (name := line.split(":")[0]) in kib else line for line in lines]
    file = tmp_path / "meminfo"
    file.write_text("\n".join(changed) + "\n")
    return f"mount --bind '{file}' /proc/meminfo"


@root_only
@pytest.mark.parametrize(("kib", "level"), [(200 * 1024, "fail"), (800 * 1024, "warn")])
def test_a_machine_without_memory(machine: Patient, tmp_path: Path, kib: int, level: str) -> None:
    in_namespace(machine.cli, meminfo(tmp_path, MemAvailable=kib))
    machine.finds("host-memory", level, f"{kib // 1024} MiB", "this machine", "ps -eo rss")


@root_only
def test_a_control_group_without_memory(machine: Patient) -> None:
    one, two = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    if (one / "memory.limit_in_bytes").exists() and os.access(one, os.W_OK):
        group, limit, most = one / f"jeex-test-{os.getpid()}", "memory.limit_in_bytes", 250 * 1024 * 1024
    elif "memory" in (two / "cgroup.subtree_control").read_text() if (two / "cgroup.subtree_control").exists() else False:
        group, limit, most = two / f"jeex-test-{os.getpid()}", "memory.max", 250 * 1024 * 1024
    else:
        pytest.skip("no control group of memory can be made here")
    group.mkdir()
    try:
        (group / limit).write_text(str(most))
        machine.cli.program = ("sh", "-c", f'echo $$ > "{group}/cgroup.procs" && exec "$@"', "sh", str(JEEX))
        machine.finds("host-memory", "fail", "control group")
    finally:
        deadline = time.monotonic() + 5
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


@root_only
def test_swap_that_is_used_up(machine: Patient, tmp_path: Path) -> None:
    in_namespace(machine.cli, meminfo(tmp_path, SwapTotal=1_000_000, SwapFree=20_000))
    machine.finds("host-swap", "warn", "98%", "ps -eo rss")


def test_a_shell_that_lets_nobody_open_files(machine: Patient) -> None:
    machine.cli.program = ("sh", "-c", 'ulimit -S -n 256 && exec "$@"', "sh", str(JEEX))
    one = machine.finds("host-limits", "fail", "256", "1024", "ulimit -n")
    error = machine.cli.json("up", code=3)
    assert (error["code"], error["message"]) == ("HOST_LIMITS", one["summary"])


def test_a_clock_that_was_put_back(machine: Patient) -> None:
    file = machine.cli.folder / ".jeex" / "logs" / "api.log"
    before = file.stat()
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    machine.finds("host-clock", "warn", str(file), "future", "timedatectl")
    os.utime(file, (before.st_atime, before.st_mtime))


def test_a_clock_that_is_behind_jeex_itself(machine: Patient, tmp_path: Path) -> None:
    # jeex from a copy, one file of which is a day younger than this machine's clock says it is now.
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("jeex_cli", "tests"):
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "jeex_cli", tmp_path / "jeex_cli", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "jeex_cli" / "help.py"
    os.utime(file, (time.time() + 86_400, time.time() + 86_400))
    machine.cli.extra["PYTHONPATH"] = str(tmp_path)
    machine.finds("host-clock", "warn", str(file), "future")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Mars"])
def test_a_time_zone_that_there_is_not(machine: Patient, zone: str) -> None:
    machine.cli.extra["TZ"] = zone
    machine.finds("host-timezone", "warn", zone, "UTC")


@pytest.mark.parametrize("zone", ["UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "", "Etc/UTC"])
def test_time_zones_that_there_are(machine: Patient, zone: str) -> None:
    if "/" in zone and not Path("/usr/share/zoneinfo", zone).exists():
        pytest.skip("no time zones are installed here")
    machine.cli.extra["TZ"] = zone
    assert machine.doctor("--only", "host-timezone")["host-timezone"]["level"] == "ok"


@pytest.mark.parametrize("variable", ["LC_ALL", "LANG"])
def test_a_locale_that_there_is_not(machine: Patient, variable: str) -> None:
    machine.cli.extra.update({"LANG": "C.UTF-8", variable: "xx_YY.UTF-8"})
    machine.finds("host-locale", "warn", f"{variable}=xx_YY.UTF-8", "C.UTF-8")


def test_a_locale_that_is_not_of_utf_8(machine: Patient, tmp_path: Path) -> None:
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")]
    if shutil.which(made[0]) is None or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("no locale can be made here")
    machine.cli.extra.update({"LOCPATH": str(tmp_path), "LANG": "en_US.ISO-8859-1"})
    machine.finds("host-locale", "warn", "LANG=en_US.ISO-8859-1", "ISO-8859-1, not of UTF-8", "LC_ALL=C.UTF-8")
    machine.cli.extra["LC_ALL"] = "C.UTF-8"  # as the finding says; LANG does not count then
    assert machine.doctor("--only", "host-locale")["host-locale"]["level"] == "ok"


@pytest.mark.parametrize("text", ["C", "POSIX", "C.UTF-8", ""])
def test_plain_locales_are_fine(machine: Patient, text: str) -> None:
    machine.cli.extra["LANG"] = text
    assert machine.doctor("--only", "host-locale")["host-locale"]["level"] == "ok"


@root_only
def test_a_localhost_that_leads_elsewhere(machine: Patient, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 localhost\n")
    in_namespace(machine.cli, f"mount --bind '{hosts}' /etc/hosts")
    machine.finds("host-localhost", "warn", "127.0.0.2", "/etc/hosts")
    hosts.write_text("127.0.0.1 localhost\n")  # as the finding says
    assert machine.doctor("--only", "host-localhost")["host-localhost"]["level"] == "ok"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_that_swallows_this_machine(machine: Patient, variable: str) -> None:
    machine.cli.extra.update({variable: "http://proxy.example:3128", "no_proxy": "localhost,.example"})
    machine.finds("host-proxy", "warn", variable, "127.0.0.1", "no_proxy=127.0.0.1,localhost")
    machine.cli.extra["no_proxy"] = "127.0.0.1,localhost"
    assert machine.doctor("--only", "host-proxy")["host-proxy"]["level"] == "ok"


def test_a_folder_for_temporary_files_that_is_not_there(machine: Patient, tmp_path: Path) -> None:
    machine.cli.extra["TMPDIR"] = str(tmp_path / "nowhere")
    machine.finds("host-tmp", "warn", str(tmp_path / "nowhere"), "TMPDIR=/tmp")


@root_only
def test_a_folder_for_temporary_files_that_is_full(machine: Patient, tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    with mounted(place, "size=1m"):
        machine.cli.extra["TMPDIR"] = str(place)
        machine.finds("host-tmp", "warn", "full")
