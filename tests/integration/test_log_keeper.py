"""Logs stay within their bound while their servers run, and nothing of them is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli import proc
from jeex_cli.runtimes import log_keeper
from jeex_cli.runtimes.whole_log import WholeLog, before

LIMIT = 256 * 1024
# Numbered lines through a file that it was given open, as servers write.
WRITER = """
import os, sys, time
for number in range(10**9):
    os.write(1, b"%09d a line of this log, which is as long as many another\\n" % number)
    if number % 200 == 0:
        time.sleep(0.005)
"""


def until(what: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


MEMORY = "/dev/shm"  # noqa: S108 - a folder of its own is made there


@pytest.fixture(params=["here", MEMORY])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on this file system, and one on a file system in memory, where nothing can be cut out of a file."""
    if request.param == "here":
        yield tmp_path
        return
    if not os.access(request.param, os.W_OK):
        pytest.skip("no file system in memory")
    there = Path(request.param) / f"jeex-test-{os.getpid()}"
    there.mkdir()
    yield there
    for path in sorted(there.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    there.rmdir()


def test_a_log_is_bounded_while_it_is_written_and_loses_no_line(folder: Path) -> None:
    logs, record, limit = folder / "logs", folder / "keeper", folder / "limit"
    logs.mkdir()
    limit.write_text(f"{LIMIT}\n")
    log = logs / "api.log"
    with log.open("ab") as file:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=file)
    log_keeper.start(logs, record=record, limit=limit, every=0.05)
    try:
        until(lambda: proc.read_record(record) is not None)
        # Begun anew several times over.
        seen: set[int] = set()
        largest = 0

        def begun_anew() -> bool:
            nonlocal largest
            largest = max(largest, log.stat().st_size)
            if before(log).exists():
                seen.add(int(before(log).read_bytes()[:2000].split(b"\n")[1][:9] or 0))
            return len(seen) >= 4

        until(begun_anew)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        keeper = proc.read_record(record)
        assert keeper is not None
        keeper.signal(signal.SIGTERM)
        assert keeper.wait(5)
    assert largest < 8 * LIMIT  # what is written between two looks comes on top
    with WholeLog(log) as whole:
        lines = list(whole.lines())
    numbers = [int(line[:9]) for line in lines[1:]]
    if folder.parent != Path(MEMORY):
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert all(line.endswith("many another") for line in lines[1:])
    assert numbers == sorted(numbers)
    assert not list(logs.glob("*.new"))


def test_the_keeper_ends_when_nobody_says_how_long_a_log_may_be(tmp_path: Path) -> None:
    record, limit = tmp_path / "keeper", tmp_path / "limit"
    limit.write_text("100000\n")
    log_keeper.start(tmp_path, record=record, limit=limit, every=0.05)
    until(lambda: proc.read_record(record) is not None)
    keeper = proc.read_record(record)
    assert keeper is not None
    assert keeper.alive
    limit.unlink()
    assert keeper.wait(5)
