"""Redis forgets, ends, falls silent and lies: no job is lost, and none is done that nobody has asked for."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid

import redis

from service.adapters.due_jobs import Due
from service.adapters.transport import Signer
from service.core.settings import Secret
from tests.integration.queue.conftest import KEY, Plant, until


def client(plant: Plant) -> redis.Redis:
    return redis.Redis.from_url(plant.valkey.url)


def test_what_redis_forgets_is_sent_again(plant: Plant) -> None:
    plant.enqueue("test.effect", [{"seconds": 0.01}] * 300)
    one = plant.worker(JOBS_PER_TENANT="8")
    with client(plant) as found:
        for count in (10, 60, 120):
            until(lambda count=count: plant.statuses().get("done", 0) >= count)  # type: ignore[misc]
            found.flushall()
    assert plant.finished() == {"done": 300}
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "300|300"
    assert one.alive


def test_redis_ends_and_comes_back_empty(plant: Plant) -> None:
    plant.enqueue("test.effect", [{"seconds": 0.01}] * 200)
    one = plant.worker(JOBS_PER_TENANT="8")
    until(lambda: plant.statuses().get("done", 0) >= 20)
    plant.valkey.stop()
    until(lambda: one.says("queue.away"))
    plant.enqueue("test.effect", [{}] * 5)  # whoever enqueues needs no Redis
    for file in (plant.valkey.folder).glob("appendonlydir/*"):
        file.unlink()
    plant.valkey.start()
    assert plant.finished() == {"done": 205}
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "205|205"
    assert one.says("queue.back")


def test_redis_falls_silent_and_wakes(plant: Plant) -> None:
    plant.enqueue("test.effect", [{"seconds": 0.01}] * 100)
    one = plant.worker(JOBS_PER_TENANT="8")
    until(lambda: plant.statuses().get("done", 0) >= 10)
    assert plant.valkey.process is not None
    os.kill(plant.valkey.process.pid, signal.SIGSTOP)
    try:
        until(lambda: one.says("queue.away"))
    finally:
        os.kill(plant.valkey.process.pid, signal.SIGCONT)
    assert plant.finished() == {"done": 100}
    assert plant.sql("SELECT count(*), count(DISTINCT name) FROM project") == "100|100"


def send(found: redis.Redis, envelope: object, *, function: str = "carry", **more: object) -> None:
    """A message as streaQ writes it, by somebody who has Redis' password."""
    task = uuid.uuid4().hex
    data = {"f": function, "a": [envelope], "k": {}, "t": int(time.time() * 1000), **more}
    found.set(f"streaq:jeex:task:data:{task}", json.dumps(data))
    found.xadd("streaq:jeex:queues:normal", {"task_id": task, "enqueue_time": int(time.time() * 1000)})


def test_what_we_have_not_signed_is_refused(plant: Plant) -> None:
    """The job waits for tomorrow: only a message that is believed could have it done, and none is."""
    tenant, other = plant.tenant(), plant.tenant("other")
    job = plant.enqueue("test.effect")[0]
    plant.sql("UPDATE job SET run_at = now() + interval '1 day'; UPDATE job_due SET run_at = now() + interval '1 day'")
    one = plant.worker()
    with client(plant) as found:
        until(lambda: found.exists("streaq:jeex:queues:normal"))
        # Due by its row, and nobody sends it: what happens to it now is the forger's doing.
        plant.sql("UPDATE job SET run_at = now()")
        good = Signer(Secret(KEY)).seal(Due(tenant, uuid.UUID(job), 0))
        forged = Signer(Secret("another-key-that-is-long-enough-for-it")).seal(Due(tenant, uuid.UUID(job), 0))
        unsigned = {name: value for name, value in good.items() if name != "signature"}
        for envelope in (
            *(forged, unsigned, {**good, "tenant": str(other)}, {**good, "attempts": 1}, {**good, "signature": ""}),
            *({**good, "job": str(uuid.uuid4())}, {**good, "more": 1}, "text", None, [good], {**good, "attempts": True}),
        ):
            send(found, envelope)
        send(found, good, A="of-another-task")
        send(found, good, function="another")
        found.set("streaq:jeex:task:data:broken", b"\x80\x04\x95pickle")
        found.xadd("streaq:jeex:queues:normal", {"task_id": "broken", "enqueue_time": 1})
        until(lambda: len(one.says("queue.refused")) >= 14)
        assert plant.job(job, "status, attempts") == "queued|0"
        # Not even of the form that streaQ reads: it is thrown away, and the worker goes on.
        found.xadd("streaq:jeex:queues:normal", {"nonsense": "1"})
        until(lambda: one.says("queue.away"))
        until(lambda: one.says("queue.back"))
        send(found, good)
        assert plant.finished() == {"done": 1}
        # What was right once is not right again.
        send(found, good)
        until(lambda: one.says("job.refused"))
    assert plant.sql("SELECT count(*) FROM project") == "1"
    assert KEY not in one.log.read_text()
    assert str(good["signature"]) not in one.log.read_text()
