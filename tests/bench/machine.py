"""A PostgreSQL and an API for the benchmarks of requests: the server on one core, everything else on the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service

SERVER, REST = 0, 1  # cores
ROOT = Path(__file__).parents[2]


def pin(pid: int, core: int) -> None:
    """Keep a process, and what it has started, on a core. On a machine with one there is nothing to choose."""
    if (os.cpu_count() or 1) < 2:
        return
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        one.cpu_affinity([core])


@dataclass(frozen=True)
class Measured:
    """CPU microseconds of the server for one request, requests a second, and the median seconds of one."""

    cpu: float
    rate: float
    p50: float


def measure(pid: int, port: int, lines: Sequence[dict[str, Any]], requests: int, connections: int = 8) -> Measured:
    """Send `requests` of `lines` to the server, in turn."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", str(port), str(connections), str(requests)],
        input="\n".join(json.dumps(line) for line in lines),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu = sum(process.cpu_times()[:2]) - before
    found = json.loads(done.stdout)
    return Measured(cpu / requests * 1e6, requests / found["seconds"], found["p50"])


def start_bare(url: str, tenant_id: object, user_id: object, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The bare thing, and its port."""
    port = free_port()
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare_api", url, str(port), str(tenant_id), str(user_id)],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    return process, port


def start_api(settings: dict[str, str], log: Path) -> Service:
    """The API as it is run, with a limit of requests that nobody reaches."""
    api = Service("api", {**settings, "API_PORT": str(free_port()), "RATE_LIMIT": "1000000000"}, log)
    api.start()
    api.wait("/ready")
    assert api.process is not None
    pin(api.process.pid, SERVER)
    return api
