"""Workers that are killed at any moment: every job ends, and what it does is done once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.integration.queue.conftest import Plant
from tests.integration.service.servers import ROOT

KILLS = 100
QUICK = {"JOB_LEASE": "0.4", "JOB_RESEND": "0.4", "WORKER_JOBS": "4", "JOBS_PER_TENANT": "6", "LOG_LEVEL": "error"}


class Forks:
    """Workers that start within milliseconds."""

    def __init__(self, process: subprocess.Popen[bytes], answers: IO[bytes]) -> None:
        self._process = process
        self._answers = answers

    def start(self) -> int:
        """The process id of another worker."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return int(self._answers.readline())


@contextmanager
def forking(plant: Plant) -> Iterator[Forks]:
    reading, writing = os.pipe()
    with (plant.folder / "forks.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.integration.queue.worker", str(writing)],
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **plant.settings(**QUICK)},
            pass_fds=(writing,),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    os.close(writing)
    with process, os.fdopen(reading, "rb") as answers:
        try:
            yield Forks(process, answers)
        finally:
            process.kill()


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_killed_at_a_hundred_points_every_job_ends_and_is_done_once(plant: Plant) -> None:
    chance = random.Random()
    for slug in ("acme", "other", "third"):
        plant.enqueue("test.effect", [{"seconds": chance.choice((0, 0, 0.02, 0.1))} for _ in range(150)], slug=slug)
        plant.enqueue("test.poison", slug=slug)
    plant.sql("UPDATE job SET max_attempts = 30 WHERE kind = 'test.effect'")
    with forking(plant) as forks:
        alive: list[int] = []
        try:
            for _ in range(KILLS):
                while len(alive) < 2:
                    alive.append(forks.start())
                time.sleep(chance.uniform(0.01, 0.35))
                kill(alive.pop(0))
                if chance.random() < 0.1:
                    plant.enqueue("test.effect", [{"seconds": 0.02}] * 20)
            alive += [forks.start()]
            done = plant.finished(seconds=60)
        finally:
            for pid in alive:
                kill(pid)
    assert done.keys() <= {"done", "dead"}
    assert done["done"] > 450
    wrong = plant.sql(
        "SELECT j.id, j.status, count(p.id) FROM job j LEFT JOIN project p ON p.tenant_id = j.tenant_id "
        "AND p.name = j.id::text GROUP BY 1, 2 HAVING count(p.id) <> CASE j.status WHEN 'done' THEN 1 ELSE 0 END"
    )
    assert wrong == ""
    assert plant.sql("SELECT count(*) FROM project") == str(done["done"])
    assert plant.sql("SELECT count(*) FROM job_due") == "0"
    killed = int(plant.sql("SELECT count(*) FROM job WHERE kind = 'test.effect' AND attempts > 1"))
    assert killed > 5, "the kills have hit nothing"
