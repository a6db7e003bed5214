"""A database, a Redis and workers for a test's own jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.adapters.database import Database
from service.core.settings import Secret
from service.services import jobs
from service.services.jobs import PostgresQueue
from service.services.tenants import NewTenant
from tests.integration.service.client import Client
from tests.integration.service.conftest import (  # noqa: F401 - fixtures
    ADMIN_KEY,
    database,
    make_tenant,
    postgres,
    run,
    valkey,
)
from tests.integration.service.machine import free_port, stop
from tests.integration.service.machine import until as _until
from tests.integration.service.processes import Service
from tests.integration.service.servers import ROOT, Postgres, Valkey


def until(what: Callable[[], Any], *, seconds: float = 60.0, pause: float = 0.05) -> Any:
    """As elsewhere, with patience for a machine that does something else as well."""
    return _until(what, seconds=seconds, pause=pause)


KEY = "what-signs-the-messages-of-these-tests"


class Forks:
    """Starts workers within milliseconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, settings: dict[str, str], log: Path) -> int:
        """The process id of a worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([settings, str(log)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    argv = [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-P", "-m", "tests.integration.queue.worker"]
    process = subprocess.Popen(
        argv, env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Forks(process)
        process.kill()


@dataclass
class Worker:
    """A worker, with kinds of jobs for tests."""

    forks: Forks
    settings: dict[str, str]
    log: Path
    pid: int = 0

    def start(self) -> None:
        self.log.touch()
        self.pid = self.forks.start(self.settings, self.log)

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def stop(self) -> int:
        """Tell it to end; its exit code."""
        self.signal(signal.SIGTERM)
        until(lambda: not self.alive)
        return int(Path(f"{self.log}.exit").read_text())

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def says(self, event: str) -> list[dict[str, Any]]:
        """The lines of that event."""
        return [line for line in self.lines() if line["event"] == event]


@dataclass
class Plant:
    """One tenant (or more) and whatever runs their jobs."""

    forks: Forks
    postgres: Postgres
    valkey: Valkey
    database: str
    folder: Path
    tenants: dict[str, NewTenant] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    apis: list[Service] = field(default_factory=list)

    def tenant(self, slug: str = "acme") -> Any:
        """The id of that tenant."""
        if slug not in self.tenants:
            self.tenants[slug] = make_tenant(self.postgres.url("admin", self.database), slug)
        return self.tenants[slug].tenant.id

    def pool(self) -> Database:
        """One connection, as the service has them."""
        return Database(Secret(self.postgres.url("app", self.database)), pool_size=1)

    def settings(self, **changes: str) -> dict[str, str]:
        """A quick worker's."""
        return {
            "DATABASE_URL": self.postgres.url("app", self.database),
            "DATABASE_ADMIN_URL": self.postgres.url("admin", self.database),
            "REDIS_URL": self.valkey.url,
            "QUEUE_KEY": KEY,
            "PURGE_EVERY": "never",
            "CACHE": "off",  # which would schedule jobs of its own
            "JOB_BACKOFF": "0.02",
            "WORKER_DRAIN": "0.2",
            "LOG_LEVEL": "info",
            **changes,
        }

    def worker(self, **changes: str) -> Worker:
        """A worker, started."""
        one = Worker(self.forks, self.settings(**changes), self.folder / f"worker-{len(self.workers)}.log")
        self.workers.append(one)
        one.start()
        return one

    def enqueue(self, kind: str, args: Sequence[dict[str, Any]] = ({},), slug: str = "acme", **options: Any) -> list[str]:
        """Jobs of a tenant, in one transaction; their ids."""
        tenant_id = self.tenant(slug)

        async def work() -> list[str]:
            async with self.pool() as pool, pool.direct(tenant_id) as driver:
                return [str((await PostgresQueue().enqueue(driver, tenant_id, kind, one, **options)).id) for one in args]

        found: list[str] = run(work())
        return found

    def cancel(self, tenant_id: Any, job_id: str) -> str:
        """Its status then."""

        async def work() -> str:
            async with self.pool() as pool, pool.direct(tenant_id) as driver:
                return (await jobs.cancel(driver, tenant_id, uuid.UUID(job_id))).status

        return str(run(work()))

    def sql(self, statement: str) -> str:
        """As the superuser, who sees everything."""
        return self.postgres.sql(statement, database=self.database)

    def statuses(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        lines = self.sql("SELECT status, count(*) FROM job GROUP BY 1").splitlines()
        return {name: int(number) for name, number in (line.split("|") for line in lines)}

    def finished(self, *, seconds: float = 90.0) -> dict[str, int]:
        """Wait until no job is unfinished; the statuses."""
        until(lambda: not {"queued", "running"} & self.statuses().keys(), seconds=seconds, pause=0.05)
        return self.statuses()

    def job(self, job_id: str, column: str) -> str:
        """One column of a job."""
        return self.sql(f"SELECT {column} FROM job WHERE id = '{job_id}'")  # noqa: S608

    def api(self, **changes: str) -> Service:
        """An API over the same database, started."""
        settings = {
            "DATABASE_URL": self.postgres.url("app", self.database),
            "DATABASE_ADMIN_URL": self.postgres.url("admin", self.database),
            "ADMIN_KEY": ADMIN_KEY,
            "API_PORT": str(free_port()),
            **changes,
        }
        one = Service("api", settings, self.folder / "api.log")
        self.apis.append(one)
        one.start()
        one.wait("/ready")
        return one

    def client(self, api: Service, slug: str = "acme") -> Client:
        """The owner of that tenant."""
        self.tenant(slug)
        return Client(api, self.tenants[slug].key.reveal())

    def stop(self) -> None:
        for one in self.workers:
            one.signal(signal.SIGKILL)
        for api in self.apis:
            stop(api.process, signal.SIGKILL)


@pytest.fixture
def plant(forks: Forks, postgres: Postgres, valkey: Valkey, database: str, tmp_path: Path) -> Iterator[Plant]:  # noqa: F811
    made = Plant(forks, postgres, valkey, database, tmp_path)
    yield made
    made.stop()
