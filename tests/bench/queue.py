"""Jobs from the transaction that enqueues them to the one that finishes them, against streaQ by itself.

streaQ alone has no row to be true to: it takes a message from Redis, calls a function and forgets. Both do nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from migrations import runner
from service.adapters.database import Database
from service.core.settings import Secret
from service.services.jobs import PostgresQueue
from tests.bench.timing import Row, show
from tests.integration.queue.conftest import KEY
from tests.integration.service.conftest import make_tenant
from tests.integration.service.machine import stop
from tests.integration.service.servers import ROOT, Postgres, Valkey

JOBS = 2000
SLOTS = 16
SINGLE = 100  # jobs one after the other, on a quiet queue

_BARE = """
import asyncio, sys, time
from streaq import Worker
import json
worker = Worker(redis_url=sys.argv[1], concurrency=int(sys.argv[2]), queue_name="bare",
                serializer=lambda one: json.dumps(one, default=str).encode(), deserializer=json.loads)
done = asyncio.Event()
left = int(sys.argv[3])

@worker.task(silent=True, ttl=0)
async def nothing():
    global left
    left -= 1
    if left == 0 or sys.argv[3] == "0":
        done.set()

async def main():
    running = asyncio.create_task(worker.run_async())
    while not worker._running:
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    if left > 0:
        await worker.enqueue_many([nothing.enqueue() for _ in range(left)])
        await done.wait()
        print(time.perf_counter() - began)
    else:
        for _ in range(int(sys.argv[4])):
            done.clear()
            began = time.perf_counter()
            await nothing.enqueue()
            await done.wait()
            print(time.perf_counter() - began)
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])

asyncio.run(main())
"""


def bare(valkey: Valkey, *arguments: str) -> list[float]:
    """Seconds, as streaQ by itself takes them."""
    done = subprocess.run(
        [sys.executable, "-c", _BARE, valkey.url, str(SLOTS), *arguments], check=True, capture_output=True, text=True
    )
    return [float(line) for line in done.stdout.split()]


# What the platform schedules for itself may wait for its hour.
_LEFT = "SELECT 1 FROM job WHERE kind = 'test.nothing' AND status IN ('queued', 'running') LIMIT 1"


async def burst(database: Database, tenant: uuid.UUID) -> float:
    """Seconds from the commit of JOBS jobs to the end of the last."""
    queue = PostgresQueue()
    async with database.direct(tenant) as driver:
        for _ in range(JOBS):
            await queue.enqueue(driver, tenant, "test.nothing", {})
    began = time.perf_counter()
    while True:
        await asyncio.sleep(0.02)
        async with database.direct(tenant) as driver:
            if not await driver.fetchval(_LEFT):
                return time.perf_counter() - began


async def single(database: Database, tenant: uuid.UUID) -> list[float]:
    """Seconds of each of SINGLE jobs from its commit to its beginning, as the rows tell."""
    queue = PostgresQueue()
    for _ in range(SINGLE):
        async with database.direct(tenant) as driver:
            job = (await queue.enqueue(driver, tenant, "test.nothing", {})).id
        while True:
            await asyncio.sleep(0.005)
            async with database.direct(tenant) as driver:
                if await driver.fetchval("SELECT status = 'done' FROM job WHERE tenant_id = $1 AND id = $2", tenant, job):
                    break
    async with database.direct(tenant) as driver:
        rows = await driver.fetch(
            "SELECT extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM job WHERE tenant_id = $1 "
            "ORDER BY id DESC LIMIT $2",
            *(tenant, SINGLE),
        )
    return [row["seconds"] for row in rows]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres, valkey = Postgres(Path(folder) / "postgres", options=("-c", "fsync=on")), Valkey(Path(folder) / "valkey")
        postgres.create()
        postgres.start()
        valkey.start()
        worker: subprocess.Popen[str] | None = None
        try:
            assert postgres.bootstrap().returncode == 0
            runner.upgrade(postgres.url("owner"))
            tenant = make_tenant(postgres.url("admin")).tenant.id
            settings = {
                "DATABASE_URL": postgres.url("app"),
                "DATABASE_ADMIN_URL": postgres.url("admin"),
                "REDIS_URL": valkey.url,
                "QUEUE_KEY": KEY,
                "PURGE_EVERY": "never",
                "WORKER_JOBS": str(SLOTS),
                "JOBS_PER_TENANT": str(4 * SLOTS),
                "LOG_LEVEL": "error",
            }
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.integration.queue.worker"],
                env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write(json.dumps([settings, str(Path(folder) / "log")]) + "\n")
            worker.stdin.flush()
            pid = int(worker.stdout.readline())

            async def measure() -> tuple[float, list[float]]:
                async with Database(Secret(postgres.url("app")), pool_size=2) as database:
                    await single(database, tenant)
                    return await burst(database, tenant), await single(database, tenant)

            try:
                ours, waits = asyncio.run(measure())
            finally:
                os.kill(pid, signal.SIGKILL)
            theirs, their_waits = bare(valkey, str(JOBS), "0")[0], bare(valkey, "0", str(SINGLE))
        finally:
            if worker is not None:
                stop(worker, signal.SIGKILL)
            valkey.stop()
            postgres.stop()
    show(
        f"Jobs, {SLOTS} at a time; streaQ by itself is the bare thing",
        [
            Row(f"a job of {JOBS}, from commit to commit", ours / JOBS, theirs / JOBS),
            Row("one on a quiet queue, median", statistics.median(waits), statistics.median(their_waits)),
        ],
    )
    print(f"  {JOBS / ours:.0f} jobs a second; bare {JOBS / theirs:.0f}")
