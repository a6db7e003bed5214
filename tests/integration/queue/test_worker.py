"""What a worker does with jobs, and what it does not."""

from __future__ import annotations

from tests.integration.queue.conftest import Plant
from tests.integration.service.machine import until


def test_jobs_are_done_each_once(plant: Plant) -> None:
    ids = plant.enqueue("test.effect", [{}] * 50)
    plant.worker(JOBS_PER_TENANT="8")
    assert plant.finished() == {"done": 50}
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "50|50"
    assert plant.job(ids[0], "attempts, progress, message") == "1|100|written"
    assert plant.sql("SELECT count(*) FROM job_due") == "0"
