"""The worker as it is, with kinds of jobs that tests need: `python -m tests.integration.queue.worker`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path

import asyncpg

from service.commands import worker, worker_queue
from service.services.job_kinds import Finish, Job, JobKind


async def effect(job: Job) -> Finish:
    """Writes one row, which tells how often it was done."""
    await asyncio.sleep(float(str(job.args.get("seconds", 0))))

    async def write(driver: asyncpg.Connection) -> None:
        await driver.execute(
            "INSERT INTO project (tenant_id, slug, name) VALUES ($1, $2, $3)",
            *(job.tenant_id, f"x-{uuid.uuid4().hex[:20]}", str(job.id)),
        )

    return Finish("written", write=write)


async def poison(job: Job) -> Finish:
    """Fails, or takes the process with it."""
    if job.args.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("the key jx_0123456789abcdef_secret was refused by redis://user:hunter2@host")


async def slow(job: Job) -> Finish:
    """Takes its time, and says so. With `deaf` it never asks whether it should stop."""
    for step in range(int(str(job.args.get("steps", 100)))):
        await asyncio.sleep(0.05)
        if not job.args.get("deaf"):
            job.progress(step, f"step {step}")
    return Finish("slept")


async def nothing(job: Job) -> None:
    """What it costs to do nothing."""


KINDS = (
    JobKind("test.nothing", nothing),
    JobKind("test.effect", effect),
    JobKind("test.poison", poison),
    JobKind("test.slow", slow, timeout=20),
    JobKind("test.late", slow, timeout=0.3),
)


def forks() -> None:
    """A worker of its own for each line that comes in, with these settings and this log; its process id goes out.

    What it needs is imported once, which takes longer than most tests. How a worker ended stands beside its log.
    """
    import streaq  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        settings, log = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for number in (1, 2):
                os.dup2(file, number)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = worker.run(settings)
            Path(f"{log}.exit").write_text(str(code))
            os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    made = worker_queue.job_kinds
    worker_queue.job_kinds = lambda *given: [*made(*given), *KINDS]
    forks()
