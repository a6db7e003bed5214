"""The profile `observability`, run: logs and metrics reach their stores, no others do, and nothing is lost on the way."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.stack import docker
from tests.docker.test_runtime import container, in_docker, killed
from tests.e2e.conftest import Cli, free_ports, kill_leftovers
from tests.e2e.test_golden_path import secrets_of, secrets_of_vault
from tests.integration.service.machine import request, until

pytestmark = pytest.mark.docker

IMAGES = {
    "JEEX_VICTORIA_METRICS_VERSION": "victoriametrics/victoria-metrics",
    "JEEX_VICTORIA_LOGS_VERSION": "victoriametrics/victoria-logs",
    "JEEX_SYSLOG_NG_VERSION": "balabit/syslog-ng",
}


@pytest.fixture(scope="module")
def cli(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A stack with the profile, which logs every statement, and whose log files are rotated at 100 kB."""
    missing = [one for one in IMAGES.values() if docker("image", "inspect", f"{one}:stand-in", check=False).returncode]
    if missing:
        pytest.skip(f"tests/docker/stand_ins/observability.sh makes what is missing: {', '.join(missing)}")
    metrics, logs = free_ports(2)
    one = in_docker(
        tmp_path_factory.mktemp("observability"),
        image,
        JEEX_PROFILES="observability",
        JEEX_METRICS_PORT=str(metrics),
        JEEX_LOGS_PORT=str(logs),
        JEEX_LOG_SLOW_STATEMENTS="0",
        JEEX_LOG_MAX_SIZE="100k",
        **dict.fromkeys(IMAGES, "stand-in"),
    )
    try:
        one.run("up")
        yield one
        one.run("down", "--delete-data", "--yes")
        assert one.containers() == []
    finally:
        kill_leftovers(one)


def stored(cli: Cli, query: str) -> list[dict[str, str]]:
    """What VictoriaLogs has that matches, in LogsQL."""
    where = f"http://127.0.0.1:{cli.extra['JEEX_LOGS_PORT']}/select/logsql/query"
    asked = urllib.request.Request(where, urllib.parse.urlencode({"query": query}).encode())
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - loopback
        return [json.loads(line) for line in answer.read().splitlines()]


def ask(cli: Cli, name: str, key: str = "", *, method: str = "GET", path: str = "/api/v1/whoami") -> dict[str, str]:
    """A request of that id; the headers of its answer."""
    headers = {"X-Request-ID": name, **({"Authorization": f"Bearer {key}"} if key else {})}
    status, _, answer = request(method, f"http://127.0.0.1:{cli.ports['API']}{path}", None, headers)
    assert status in ((200, 201) if key else (401,))
    return dict(answer)


def test_a_request_is_found_with_its_fields_and_with_what_the_database_and_vault_did_for_it(cli: Cli) -> None:
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    trace = ask(cli, "find-me", key, method="POST", path="/api/v1/tokens")["traceparent"].split("-")[1]
    found = until(lambda: stored(cli, 'service:api request_id:="find-me"'))
    assert len(found) == 1
    wanted = {"_msg": "http.request", "level": "info", "method": "POST", "path": "/api/v1/tokens", "status": "201"}
    assert wanted.items() <= found[0].items()
    assert (found[0]["trace_id"], found[0]["tenant"], found[0]["process"]) == (trace, "acme", "api")
    assert float(found[0]["ms"]) > 0
    assert len(found[0]["ms"].partition(".")[2]) <= 2
    said = until(lambda: [one["_msg"] for one in stored(cli, f'service:postgres "{trace}"') if "COMMIT" in one["_msg"]])
    assert "find-me" in said[0]
    assert "duration: " in said[0]
    audited = f'service:vault type:response "{trace}"'
    until(lambda: any(one["request.path"].startswith("transit/sign/") for one in stored(cli, audited)))


def test_every_service_is_there_and_no_secret_is(cli: Cli) -> None:
    names = set(cli.services())
    until(lambda: {one["service"] for one in stored(cli, "* | uniq by (service)")} >= names, seconds=30)
    key = cli.json("tenant", "create", "globex", "--admin", "bob@globex.example")["key"]
    ask(cli, "with-a-key", key)
    until(lambda: stored(cli, 'request_id:="with-a-key"'))
    everything = json.dumps(stored(cli, "*"))
    assert "with-a-key" in everything
    for secret in [key.rpartition("_")[2], *secrets_of(cli), *secrets_of_vault(cli)]:
        assert secret not in everything


def test_no_other_project_is_there_and_fields_come_from_our_processes_alone(cli: Cli) -> None:
    labels = {"com.docker.compose.project": "another", "com.docker.compose.service": "api"}
    other = docker(
        *("run", "--detach", "--log-driver", "json-file", "--log-opt", f"labels={','.join(labels)}"),
        *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
        *("--tmpfs", "/data", "--entrypoint", "echo", "redis:8.2", '{"event": "of-another-project"}'),
    ).stdout.strip()
    try:
        forged = '{"event": "forged", "level": "error", "service": "api", "timestamp": "2001-01-01T00:00:00Z"}'
        psql = ("exec", "--interactive", container(cli, "postgres"), "psql", "-U", "postgres", "-d", "jeex", "-XAt")
        docker(*psql, input=f"SELECT 'a statement that goes on in',\n'{forged}';\nSELECT 1,\n{forged};\n", check=False)
        docker(*psql, input="SELECT 'the last one';\n")
        ask(cli, "after-the-other")
        until(lambda: stored(cli, 'service:postgres "the last one"') and stored(cli, 'request_id:="after-the-other"'))
        found = until(lambda: [one for one in stored(cli, "service:postgres forged") if one["_msg"].startswith("{")])
        assert all("level" not in one and one["service"] == "postgres" for one in found)
        assert not stored(cli, "_msg:=forged")
        assert not stored(cli, '"of-another-project"')
    finally:
        docker("rm", "--force", "--volumes", other)


def test_nothing_is_lost_while_the_store_is_away_the_shipper_dies_or_files_are_rotated(cli: Cli) -> None:
    docker("stop", "--timeout", "5", container(cli, "log-store"))
    for number in range(40):
        ask(cli, f"away-{number}")
    killed(cli, "log-shipper")
    for number in range(40, 80):
        ask(cli, f"away-{number}")
    docker("start", container(cli, "log-store"))
    cli.run("wait", "--timeout", "60")
    until(lambda: _unique(cli, "away-") == {f"away-{number}" for number in range(80)}, seconds=30)
    file = Path(docker("inspect", "--format", "{{.LogPath}}", container(cli, "api")).stdout.strip())
    old, before = file.with_name(f"{file.name}.1"), file.stat().st_ino  # for a moment of it there is the old one alone
    number = 0
    while not old.exists() or old.stat().st_ino != before:
        ask(cli, f"rotated-{number}")
        number += 1
    for _ in range(20):
        ask(cli, f"rotated-{number}")
        number += 1
    until(lambda: _unique(cli, "rotated-") == {f"rotated-{one}" for one in range(number)}, seconds=30)


def _unique(cli: Cli, prefix: str) -> set[str]:
    return {one["request_id"] for one in stored(cli, f'request_id:"{prefix}"* | uniq by (request_id)')}


def test_metrics_are_scraped_with_the_token_and_both_stores_tell_of_themselves(cli: Cli) -> None:
    where = f"http://127.0.0.1:{cli.extra['JEEX_METRICS_PORT']}/api/v1/query?latency_offset=1ms&query="

    def value(query: str) -> dict[str, Any]:
        _, found, _ = request("GET", where + urllib.parse.quote(query))
        return {one["metric"].get("job", ""): one["value"][1] for one in found["data"]["result"]}

    until(lambda: value("up") == dict.fromkeys(("jeex-api", "metrics", "log-store"), "1"), seconds=45)
    assert value("jeex_cache_breaker_open")
    token = next(line for line in (cli.folder / ".env").read_text().splitlines() if line.startswith("JEEX_METRICS_TOKEN="))
    api = f"http://127.0.0.1:{cli.ports['API']}/metrics"
    assert request("GET", api)[0] == 401
    assert request("GET", api, None, {"Authorization": f"Bearer {token.partition('=')[2]}"})[0] == 200


def test_its_processes_have_no_capability(cli: Cli) -> None:
    for name in ("metrics", "log-store", "log-shipper"):
        pid = docker("inspect", "--format", "{{.State.Pid}}", container(cli, name)).stdout.strip()
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.findall(r"^Cap(?:Prm|Eff|Bnd):\t(\w+)$", status, re.MULTILINE) == ["0" * 16] * 3, name
