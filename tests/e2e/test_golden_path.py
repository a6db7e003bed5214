"""From an empty folder to a tenant's answer, and back down."""

from __future__ import annotations

import json
import signal
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e


def get(cli: Cli, path: str, key: str | None = None, service: str = "API") -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"http://127.0.0.1:{cli.ports[service]}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def secrets_of(cli: Cli) -> list[str]:
    lines = (cli.folder / ".env").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return [value for name, value in pairs if name.endswith(("_PASSWORD", "_SECRET", "_KEY"))]


def secrets_of_vault(cli: Cli) -> list[str]:
    """Every secret that was generated and is in Vault, or on its way to a process."""
    from tests.e2e.test_recovery import operator_token, vault

    token = operator_token(cli)
    pepper: str = vault(cli, "secret/data/jeex/api-pepper", token=token)["data"]["data"]["pepper"]
    if cli.runtime == "compose":
        return [token, pepper]
    handed = [path.read_text().strip() for path in (cli.folder / ".jeex" / "run" / "handover").glob("*/wrapped")]
    assert len(handed) == 2
    return [token, pepper, *handed]


def assert_no_secret_is_readable(cli: Cli, printed: list[str], values: list[str]) -> None:
    assert values
    logged = cli.run("logs", "--tail", "-1").stdout
    for value in values:
        assert all(value not in text for text in printed)
        for log in (cli.folder / ".jeex").glob("logs/*"):
            assert value not in log.read_text(errors="replace"), log
        assert value not in logged
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace")
                environment = (process / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            assert all(value not in command for value in values), command
            if "service" in command and str(cli.folder) in environment:
                assert all(value not in environment for value in values), command
    for path in cli.folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o044:
            text = path.read_text(errors="replace")
            assert all(value not in text for value in values), path


def test_first_run(either: Cli) -> None:
    cli = either
    first = cli.run("up")
    states = cli.services()
    assert {name: one["status"] for name, one in states.items()} == {
        "postgres": "running",
        "redis": "running",
        "vault": "running",
        "migrate": "completed",
        "seed": "completed",
        "api": "running",
        "frontend": "running",
        "worker": "running",
    }
    assert f"http://127.0.0.1:{cli.ports['API']}/docs" in first.stdout
    assert (cli.folder / ".env").stat().st_mode & 0o777 == 0o600

    # The first tenant, and its key against the API.
    made = cli.run("tenant", "create", "acme", "--admin", "alice@acme.example", "--json")
    key = json.loads(made.stdout)["data"]["key"]
    status, body = get(cli, "/api/v1/whoami", key)
    assert status == 200
    assert "acme" in body.decode()
    assert get(cli, "/api/v1/whoami")[0] == 401
    assert get(cli, "/api/v1/whoami", key[:-1] + ("a" if key[-1] != "a" else "b"))[0] == 401
    assert [one["slug"] for one in cli.json("tenant", "list")] == ["acme"]
    assert cli.json("tenant", "show", "acme")["users"][0]["email"] == "alice@acme.example"
    assert cli.json("tenant", "create", "acme", "--admin", "a@b.example", code=1)["code"] == "SLUG_TAKEN"

    # Health, documentation, the page.
    for path in ("/health", "/ready", "/docs", "/api/v1/system/status", "/openapi.json"):
        assert get(cli, path)[0] == 200, path
    assert get(cli, "/", service="FRONTEND")[0] == 200
    health = {one["name"]: one for one in cli.json("health")["services"]}
    assert all(one["ok"] for one in health.values())
    assert health["postgres"]["version"].startswith("18.")
    cli.run("wait", "--timeout", "5")

    # Migrations: twice is the same as once.
    assert cli.json("db", "migrate")["applied"] == []
    found = cli.json("db", "status")
    assert found["current"] == found["head"]
    assert [one["id"] for one in cli.json("db", "history")][-1] == found["head"]
    assert cli.run("db", "shell", "--", "-Atc", "select count(*) from tenant").stdout.strip() == "1"

    # Structured entries with correlation ids; every service in one time line.
    lines = [json.loads(line) for line in cli.run("logs", "--json", "--tail", "-1").stdout.splitlines()]
    assert {line["service"] for line in lines} >= {"postgres", "redis", "vault", "migrate", "seed", "api", "worker"}
    times = [line["time"] for line in lines if line["time"]]
    assert times == sorted(times)
    requests = [
        json.loads(line["text"]) for line in lines if line["service"] == "api" and '"path": "/api/v1/whoami"' in line["text"]
    ]
    requests = requests or [
        json.loads(line["text"]) for line in lines if line["service"] == "api" and '"/api/v1/whoami"' in line["text"]
    ]
    assert requests
    assert all(one["request_id"] and one["trace_id"] for one in requests)

    # A second `up` changes nothing.
    again = {name: one["pid"] for name, one in cli.services().items()}
    second = cli.run("up")
    assert {name: one["pid"] for name, one in cli.services().items() if one["status"] == "running"} == {
        name: pid for name, pid in again.items() if pid is not None
    }
    assert "already running" in second.stderr

    shown = cli.run("config", "show").stdout
    assert_no_secret_is_readable(
        cli, [first.stdout, first.stderr, second.stdout, shown], [*secrets_of(cli), *secrets_of_vault(cli), key]
    )

    # Down and up again: data and secrets are still there.
    cli.run("down")
    cli.assert_nothing_left()
    assert {one["status"] for one in cli.services().values()} == {"stopped"}
    cli.run("up")
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    seeded = [line["text"] for line in stream(cli, "seed")]
    assert any("kept" in line for line in seeded)

    # Deleting data takes a flag in full and a yes.
    assert cli.json("down", "--delete-data", code=2)["code"] == "NEEDS_YES"
    assert get(cli, "/health")[0] == 200
    assert {one["service"] for one in cli.json("volume", "list")} >= {"postgres", "redis"}
    cli.run("down", "--delete-data", "--yes")
    assert cli.json("volume", "list") == []
    assert not (cli.folder / ".jeex" / "data").exists()


def stream(cli: Cli, service: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli.run("logs", service, "--json", "--tail", "-1").stdout.splitlines()]


def test_down_in_an_empty_folder_is_a_success_and_leaves_it_empty(cli: Cli) -> None:
    cli.run("down")
    assert list(cli.folder.iterdir()) == []


def test_logs_follow_until_interrupted(either: Cli) -> None:
    cli = either
    cli.run("up", "redis")
    process = cli.start("logs", "-f", "redis", "--tail", "0")
    try:
        assert process.stdout is not None
        cli.run("restart", "redis")
        assert "redis" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
