"""What Prometheus finds at /metrics, and who may look."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.adapters.metrics import Metrics
from service.core.errors import RedisUnavailable
from tests.integration.service.client import Client, House
from tests.integration.service.machine import free_port, request, stop, until
from tests.integration.service.twins import METRICS_TOKEN, Twins

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(client: Client) -> Samples:
    """Every sample, by name and labels."""
    status, text, headers = client.service.get("/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    assert status == 200, text
    assert headers["content-type"].startswith("text/plain; version=")
    return parsed(text)


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_metrics_are_for_whoever_has_their_token(twins: Twins, house: House) -> None:
    assert house.owner.service.get("/metrics")[0] == 403, "no token, no metrics"
    for sent in ({}, {"Authorization": f"Bearer {twins.one.credential}"}, {"Authorization": f"Bearer {METRICS_TOKEN}x"}):
        status, body, _ = twins.one.service.get("/metrics", **sent)
        assert (status, body["code"]) == (401, "UNAUTHENTICATED")


def test_requests_are_counted_by_route_and_name_nobody(twins: Twins) -> None:
    before = scraped(twins.one)
    project = twins.one.made("/projects", slug="secret-slug", name="P")["id"]
    for _ in range(3):
        assert twins.one.get(f"/projects/{project}").status == 200
    twins.one.ask("HEAD", f"/projects/{project}")
    twins.one.get(f"/projects/{uuid.uuid4()}")
    twins.one.get(f"/secret-path/{uuid.uuid4()}")
    twins.one.ask("PURGE", f"/projects/{project}")
    after = scraped(twins.one)

    def more(method: str, route: str, status: int) -> float:
        found = [
            value(one, "jeex_http_requests_total", method=method, route=route, status=str(status)) for one in (after, before)
        ]
        return found[0] - found[1]

    one = "/api/v1/projects/{project_id}"
    assert more("GET", one, 200) == 3
    assert more("HEAD", one, 200) == 1
    assert more("GET", one, 404) == 1
    assert more("POST", "/api/v1/projects", 201) == 1
    assert more("GET", "unmatched", 404) == 1
    assert more("other", one, 405) == 1
    assert value(after, "jeex_http_request_seconds_count", method="GET", route=one) >= 4
    assert value(after, "jeex_http_request_seconds_bucket", method="GET", route=one, le="+Inf") >= 4
    text = twins.one.service.get("/metrics", Authorization=f"Bearer {METRICS_TOKEN}")[1]
    for never in (project, "secret", twins.tenant.hex, str(twins.tenant), "twins-", "PURGE"):
        assert never not in text


def test_pools_cache_vault_and_process_are_told_of(twins: Twins) -> None:
    project = twins.one.made("/projects", slug="p", name="P")["id"]
    path = f"/projects/{project}"
    before = scraped(twins.one)
    twins.one.get(path)
    until(lambda: twins.cached() == 1)
    for _ in range(9):
        twins.one.get(path)
    after = scraped(twins.one)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("jeex_cache_reads_total", table="project", result="hit") == 9
    assert more("jeex_cache_reads_total", table="project", result="miss") == 1
    assert more("jeex_cache_loads_total") == more("jeex_cache_stored_total") == 1
    assert 0 < value(after, "jeex_cache_hit_ratio") < 1
    assert value(after, "jeex_cache_breaker_open") == 0
    assert value(after, "jeex_db_connections_max", pool="app") == 10
    assert 1 <= value(after, "jeex_db_connections", pool="app", state="idle") <= 10
    assert value(after, "jeex_vault_token_seconds") == 0
    assert value(after, "process_resident_memory_bytes") > 10**7
    twins.pair.hole.silent = True
    try:
        until(lambda: [twins.one.get(path).status, value(scraped(twins.one), "jeex_cache_breaker_open")] == [200, 1])
    finally:
        twins.pair.hole.silent = False
    until(lambda: value(scraped(twins.one), "jeex_cache_breaker_open") == 0)
    assert value(scraped(twins.one), "jeex_cache_breaker_opened_total") >= 1


class Jobs:
    """How many jobs there are, while anybody knows."""

    def __init__(self) -> None:
        self.known: Mapping[str, int] | None = {"queued": 3, "dead": 1}

    async def depth(self) -> Mapping[str, int]:
        if self.known is None:
            raise RedisUnavailable("away")
        return self.known


def test_jobs_are_counted_by_status_and_not_told_of_from_memory() -> None:
    metrics, jobs = Metrics(), Jobs()
    metrics.queue = jobs

    def seen() -> Samples:
        return parsed(asyncio.run(metrics.text()).decode())

    assert value(seen(), "jeex_queue_jobs", status="queued") == 3
    assert value(seen(), "jeex_queue_jobs", status="dead") == 1
    jobs.known = {"dead": 2}
    assert ("jeex_queue_jobs", frozenset({("status", "queued")})) not in seen()
    jobs.known = None
    assert ("jeex_queue_jobs", frozenset({("status", "dead")})) not in seen()


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="the program prometheus is not installed")
def test_a_prometheus_scrapes_it(twins: Twins, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(METRICS_TOKEN)
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n- job_name: jeex\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
        f"  authorization: {{credentials_file: {tmp_path}/token}}\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{twins.one.service.port}']}}]\n"
    )
    port = free_port()
    argv = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:

        def up() -> bool:
            status, found, _ = request("GET", f"http://127.0.0.1:{port}/api/v1/query?query=jeex_cache_breaker_open")
            return status == 200 and bool(found["data"]["result"])

        until(up, seconds=30)
    finally:
        stop(process)
