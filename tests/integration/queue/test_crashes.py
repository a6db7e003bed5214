"""Workers that are killed at any moment: every job ends, and what it does is done once."""

from __future__ import annotations

import random
import signal
import time

from tests.integration.queue.conftest import Plant, Worker

KILLS = 100
QUICK = {"JOB_LEASE": "0.4", "JOB_RESEND": "0.4", "WORKER_JOBS": "4", "JOBS_PER_TENANT": "6", "LOG_LEVEL": "error"}


def test_killed_at_a_hundred_points_every_job_ends_and_is_done_once(plant: Plant) -> None:
    chance = random.Random()
    for slug in ("acme", "other", "third"):
        plant.enqueue("test.effect", [{"seconds": chance.choice((0, 0, 0.02, 0.1))} for _ in range(100)], slug=slug)
        plant.enqueue("test.poison", slug=slug)
    plant.sql("UPDATE job SET max_attempts = 30 WHERE kind = 'test.effect'")
    alive: list[Worker] = []
    for number in range(KILLS):
        while len(alive) < 2:
            alive.append(plant.worker(**QUICK))
        time.sleep(chance.uniform(0.01, 0.25))
        alive.pop(0).signal(signal.SIGKILL)
        if number % 25 == 10:
            plant.enqueue("test.effect", [{"seconds": 0.02}] * 20)
    plant.worker(**QUICK)
    done = plant.finished()
    assert done.keys() <= {"done", "dead"}
    assert done["done"] > 250
    wrong = plant.sql(
        "SELECT j.id, j.status, count(p.id) FROM job j LEFT JOIN project p ON p.tenant_id = j.tenant_id "
        "AND p.name = j.id::text GROUP BY 1, 2 HAVING count(p.id) <> CASE j.status WHEN 'done' THEN 1 ELSE 0 END"
    )
    assert wrong == ""
    assert plant.sql("SELECT count(*) FROM project") == str(done["done"])
    assert plant.sql("SELECT count(*) FROM job_due") == "0"
    killed = int(plant.sql("SELECT count(*) FROM job WHERE kind = 'test.effect' AND attempts > 1"))
    assert killed > 5, "the kills have hit nothing"
