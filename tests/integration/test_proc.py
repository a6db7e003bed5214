"""Processes: recorded before they run, recognised by more than their id, ended only if they are ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from jeex_cli import proc
from jeex_cli.proc import Process

T = TypeVar("T")


def eventually(read: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 10
    while (found := read()) is None:
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.005)
    return found


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder, self.record, self.ended, self.log = folder, folder / "x.pid", folder / "x.exit", folder / "x.log"

    def start(self, *argv: str) -> Process:
        proc.spawn(argv, record=self.record, ended=self.ended, log=self.log, cwd=self.folder, env={"PATH": os.defpath})
        return eventually(lambda: proc.read_record(self.record))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    one = Service(folder)
    yield one
    left = proc.read_record(one.record)
    if left is not None:
        left.signal(signal.SIGKILL)
        eventually(lambda: proc.read_exit(one.ended))


def test_a_killed_service_tells_how_and_when(service: Service) -> None:
    process = service.start("sleep", "60")
    assert process.alive
    assert abs(process.started_at - time.time()) < 5
    os.kill(process.pid, signal.SIGKILL)
    ended = eventually(lambda: proc.read_exit(service.ended))
    assert ended.reason == "killed by SIGKILL"
    assert abs(ended.at - time.time()) < 5
    assert not process.alive


def test_an_exit_code_and_the_output_are_kept(service: Service) -> None:
    service.start("sh", "-c", "echo out; echo err >&2; exit 3")
    assert eventually(lambda: proc.read_exit(service.ended)).reason == "exit code 3"
    assert service.log.read_text().split() == ["out", "err"]
    assert service.log.stat().st_mode & 0o777 == 0o600


def test_a_program_that_does_not_exist_ends_with_127(service: Service) -> None:
    service.start("/no/such/program")
    assert eventually(lambda: proc.read_exit(service.ended)).code == 127


def test_arguments_reach_the_program_untouched(service: Service) -> None:
    odd = ["a b", "$HOME", "'", '"', "*", ""]
    service.start(sys.executable, "-c", "import sys; print(sys.argv[1:])", *odd)
    eventually(lambda: proc.read_exit(service.ended))
    assert service.log.read_text().strip() == str(odd)


def test_a_service_outlives_its_starter_even_when_that_is_killed(service: Service, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time; from jeex_cli import proc; f = pathlib.Path(sys.argv[1])\n"
        "files = {'record': f/'x.pid', 'ended': f/'x.exit', 'log': f/'x.log'}\n"
        "proc.spawn(['sleep', '60'], **files, cwd=f, env={'PATH': '/usr/bin:/bin'})\n"
        "print('spawned', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(service.folder)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        starter.kill()
    process = eventually(lambda: proc.read_record(service.record))
    assert process.alive


def test_a_recycled_process_id_is_not_ours(service: Service) -> None:
    process = service.start("sleep", "60")
    recycled = replace(process, start=process.start - 1)
    rebooted = replace(process, boot="another boot")
    for stranger in (recycled, rebooted):
        assert not stranger.alive
        stranger.signal(signal.SIGKILL)
    time.sleep(0.05)
    assert process.alive


@pytest.mark.parametrize("content", ["", "12", "x y z", "1 2", "\xff"])
def test_half_a_record_is_no_record(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.pid"
    path.write_text(content)
    assert proc.read_record(path) is None


def test_processes_are_found_by_the_folder_they_work_in(service: Service) -> None:
    process = service.start("sleep", "60")
    assert process.pid in proc.working_in(service.folder)
    assert proc.working_in(service.folder / "elsewhere") == []
