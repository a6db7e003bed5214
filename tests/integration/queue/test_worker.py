"""What a worker does with jobs, and what it does not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.queue.conftest import Plant, until


def test_jobs_are_done_each_once_and_in_the_trace_of_their_request(plant: Plant) -> None:
    trace, request = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "the-request"
    ids = plant.enqueue("test.effect", [{}] * 30, traceparent=trace, request_id=request)
    later = plant.enqueue("test.effect", run_at=datetime.now(UTC) + timedelta(seconds=1.5))[0]
    one = plant.worker(JOBS_PER_TENANT="8")
    assert plant.finished() == {"done": 31}
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "31|31"
    assert plant.job(ids[0], "attempts, progress, message, error") == "1|100|written|"
    assert plant.job(later, "started_at >= run_at") == "t"
    assert plant.sql("SELECT count(*) FROM job_due") == "0"
    assert one.stop() == 0
    ended = {line["job_id"]: line for line in one.says("job.ended")}
    assert ended.keys() == {*ids, later}
    assert {ended[ids[0]][name] for name in ("trace_id", "request_id", "tenant")} == {
        "0af7651916cd43dd8448eb211c80319c",
        request,
        "acme",
    }
    assert "request_id" not in ended[later]


def test_a_poison_job_ends_dead_and_does_not_stop_the_others(plant: Plant) -> None:
    loud = plant.enqueue("test.poison")[0]
    others = plant.enqueue("test.effect", [{}] * 10)
    plant.worker()
    assert plant.finished() == {"dead": 1, "done": 10}
    assert plant.job(loud, "attempts, started_at < finished_at") == "5|t"
    error = plant.job(loud, "error")
    assert error == "RuntimeError: the key jx_012345*** was refused by redis://user:***@host"
    assert plant.sql("SELECT count(*) FROM project") == str(len(others))


def test_one_that_takes_its_process_along_ends_dead_too(plant: Plant) -> None:
    deadly = plant.enqueue("test.poison", [{"kill": True}])[0]
    plant.enqueue("test.effect", [{}] * 5)
    plant.sql("UPDATE job SET max_attempts = 2 WHERE kind = 'test.poison'")
    for _ in range(20):
        one = plant.worker(JOB_LEASE="0.5", JOB_RESEND="0.5")
        until(lambda one=one: not one.alive or plant.job(deadly, "status") == "dead")  # type: ignore[misc]
        if plant.job(deadly, "status") == "dead":
            break
    assert plant.finished() == {"dead": 1, "done": 5}
    assert plant.job(deadly, "attempts, error") == "2|the worker that ran it was lost, as often as it may be tried"
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "5|5"


def test_a_job_that_takes_too_long_or_is_unknown_is_tried_again_and_then_dead(plant: Plant) -> None:
    plant.enqueue("test.unknown")
    plant.enqueue("test.late", [{"deaf": True}])
    plant.worker()
    assert plant.finished() == {"dead": 2}
    assert plant.sql("SELECT attempts, error FROM job ORDER BY kind").splitlines() == [
        "5|it took longer than 0.3 s",
        "5|this worker does not know how to do test.unknown",
    ]


def test_cancelled_at_once_while_it_waits_and_soon_while_it_runs(plant: Plant) -> None:
    tenant = plant.tenant()
    waiting = plant.enqueue("test.effect", run_at=datetime.now(UTC) + timedelta(hours=1))[0]
    polite, deaf = plant.enqueue("test.slow", [{}, {"deaf": True}])
    plant.worker(JOB_LEASE="3")
    until(lambda: plant.statuses() == {"queued": 1, "running": 2})
    until(lambda: int(plant.job(polite, "coalesce(progress, 0)")) > 0)
    for one in (waiting, polite, deaf):
        assert plant.cancel(tenant, one) in ("cancelled", "running")
    assert plant.finished() == {"cancelled": 3}
    assert plant.sql("SELECT count(*) FROM job_due") == "0"
    assert plant.job(waiting, "started_at IS NULL") == "t"


def test_one_of_a_key_at_a_time(plant: Plant) -> None:
    first = plant.enqueue("test.effect", [{}] * 5, unique_key="the-one")
    assert len({*first}) == 1
    other = plant.enqueue("test.effect", unique_key="the-one", slug="other")
    assert other[0] not in first
    plant.worker()
    plant.finished()
    again = plant.enqueue("test.effect", unique_key="the-one")
    assert again[0] not in first
    assert plant.finished() == {"done": 3}


def test_a_tenant_with_a_thousand_jobs_does_not_keep_another_waiting(plant: Plant) -> None:
    plant.enqueue("test.effect", [{"seconds": 0.05}] * 300, slug="greedy")
    plant.worker(WORKER_JOBS="4", JOBS_PER_TENANT="2")
    until(lambda: plant.statuses().get("done", 0) > 3)
    modest = plant.enqueue("test.effect", [{}] * 3, slug="modest")
    until(lambda: all(plant.job(one, "status") == "done" for one in modest))
    assert int(plant.sql("SELECT count(*) FROM job WHERE status = 'queued'")) > 100
    most = plant.sql(
        "SELECT max(number) FROM (SELECT count(*) AS number FROM job a JOIN job b ON a.tenant_id = b.tenant_id "
        "AND a.started_at BETWEEN b.started_at AND b.finished_at WHERE a.finished_at IS NOT NULL GROUP BY a.id) AS counted"
    )
    assert int(most) <= 2


def test_a_tenant_that_is_suspended_has_nothing_done(plant: Plant) -> None:
    for slug, change in (("still", "status = 'suspended'"), ("gone", "deleted_at = now()")):
        plant.enqueue("test.effect", slug=slug)
        plant.sql(f"UPDATE tenant SET {change} WHERE slug = '{slug}'")  # noqa: S608
    plant.worker()
    assert plant.finished() == {"cancelled": 2}
    assert plant.sql("SELECT error FROM job ORDER BY error") == "the tenant is deleted\nthe tenant is suspended"
    assert plant.sql("SELECT count(*) FROM project") == "0"


def test_a_worker_that_is_told_to_end_finishes_what_it_has_or_puts_it_back(plant: Plant) -> None:
    short = plant.enqueue("test.effect", [{"seconds": 0.6}])[0]
    long = plant.enqueue("test.slow", [{"steps": 400}])[0]
    one = plant.worker(WORKER_DRAIN="1.5")
    until(lambda: plant.statuses() == {"running": 2})
    assert one.stop() == 0
    assert plant.job(short, "status, attempts") == "done|1"
    assert plant.job(long, "status, attempts, lease_token IS NULL") == "queued|0|t"
    assert plant.sql("SELECT stage, attempts, run_at <= now() FROM job_due") == "waiting|0|t"
    plant.worker()
    until(lambda: plant.job(long, "status") == "running")


@pytest.mark.parametrize("redis", [True, False], ids=["over Redis", "within the process"])
def test_two_workers_share_and_schedule_once(plant: Plant, *, redis: bool) -> None:
    for slug in ("acme", "other"):
        plant.tenant(slug)
    settings = {"PURGE_EVERY": "2s", **({} if redis else {"REDIS_URL": ""})}
    for _ in range(2):
        plant.worker(**settings)
    began = time.monotonic()
    until(lambda: int(plant.sql("SELECT count(*) FROM job WHERE kind = 'purge'")) >= 4)
    assert time.monotonic() - began < 10
    assert plant.sql("SELECT max(n) FROM (SELECT count(*) AS n FROM job GROUP BY tenant_id, id) AS c") == "1"
    # The id begins with its period's time: two of a tenant never lie in the same.
    same = "SELECT count(*) - count(DISTINCT (tenant_id, left(id::text, 13))) FROM job WHERE kind = 'purge'"
    assert plant.sql(same) == "0"
    until(lambda: int(plant.sql("SELECT count(*) FROM job WHERE kind = 'purge' AND status = 'done'")) >= 2)
