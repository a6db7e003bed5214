"""The profile `observability`: off by default, hardened like the rest, and its files are what their programs read.

How it runs is in tests/docker/test_observability.py. VictoriaMetrics and Prometheus are asked here where they are installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from jeex_cli import stack
from jeex_cli.project import bundled
from tests.integration.service.machine import free_port, request, stop, until
from tests.integration.service.twins import METRICS_TOKEN, Twins

OURS = bundled("compose.yaml")
TEMPLATES = bundled("templates") / "observability"
SERVICES = {"metrics", "log-store", "log-shipper"}


def test_it_is_off_by_default_and_published_on_loopback_alone() -> None:
    assert not SERVICES & {one.name for one in stack.load(OURS, {}).services}
    ours = stack.load(OURS, {}, ["observability"])
    assert {one.name for one in ours.services} - {one.name for one in stack.load(OURS, {}).services} == SERVICES
    assert (ours.service("metrics").address, ours.service("log-store").address) == (
        "http://127.0.0.1:5215/vmui/",
        "http://127.0.0.1:5216/select/vmui/",
    )
    assert ours.service("log-shipper").host_port is None


def test_its_services_are_hardened_bounded_and_asked() -> None:
    services = yaml.safe_load(OURS.read_text())["services"]
    for name in SERVICES:
        one = services[name]
        assert one["profiles"] == ["observability"]
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert one["healthcheck"]["test"][:2] == ["CMD", "syslog-ng-ctl" if name == "log-shipper" else "wget"]
    assert services["log-shipper"]["networks"] == ["internal"]
    assert all(mount.endswith(":ro") for mount in services["log-shipper"]["volumes"] if mount[0] in "./$")
    for one in services.values():
        assert "com.docker.compose.service" in one["logging"]["options"]["labels"], "the shipper knows lines by it"


def test_what_is_scraped_and_shipped_is_in_the_stack() -> None:
    ours = stack.load(OURS, {}, ["observability"])
    jobs = yaml.safe_load((TEMPLATES / "scrape.yaml").read_text())["scrape_configs"]
    targets = {target for job in jobs for static in job["static_configs"] for target in static["targets"]}
    assert targets == {f"{name}:{ours.service(name).container_port}" for name in ("api", "log-store")} | {"127.0.0.1:8428"}
    shipper = (TEMPLATES / "syslog-ng.conf").read_text()
    assert f'url("http://log-store:{ours.service("log-store").container_port}/insert/' in shipper


@pytest.mark.skipif(shutil.which("promtool") is None, reason="the program promtool is not installed")
def test_prometheus_takes_the_scrape_config() -> None:
    argv = ["promtool", "check", "config", "--syntax-only", str(TEMPLATES / "scrape.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("victoria-metrics") is None, reason="the program victoria-metrics is not installed")
def test_victoria_metrics_scrapes_a_running_api(twins: Twins, tmp_path: Path) -> None:
    token = tmp_path / "metrics-token"
    token.write_text(METRICS_TOKEN)
    text = (TEMPLATES / "scrape.yaml").read_text()
    for ours, here in (
        ("api:8000", f"127.0.0.1:{twins.one.service.port}"),
        ("/run/jeex/metrics-token", str(token)),
        ("15s", "200ms"),
        ("5s", "200ms"),
    ):
        assert ours in text
        text = text.replace(ours, here)
    config = tmp_path / "scrape.yaml"
    config.write_text(text)
    port = free_port()
    argv = ["victoria-metrics", f"-storageDataPath={tmp_path}/data", f"-promscrape.config={config}", "-retentionPeriod=14d"]
    argv += ["-search.latencyOffset=0s"]  # else what is younger than 30 s is not shown
    process = subprocess.Popen([*argv, f"-httpListenAddr=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        where = f"http://127.0.0.1:{port}"

        def up() -> bool:
            status, found, _ = request("GET", f"{where}/api/v1/query?query=jeex_cache_breaker_open")
            return status == 200 and bool(found["data"]["result"])

        until(up, seconds=30)
        assert request("GET", f"{where}/health")[0] == 200
    finally:
        stop(process)
