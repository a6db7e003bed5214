"""`jeex logs` and `jeex trace` on a running stack, whose logs are kept short meanwhile."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import secrets_of

pytestmark = pytest.mark.e2e

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FORGED = '2026-11-24 06:11:42.700 UTC [1] FATAL:  forged\n{"event": "forged", "level": "error"}\x1b[2K\u2028forged'


def ask(cli: Cli, method: str, path: str, key: str, body: object = None, **headers: str) -> int:
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    data = None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{cli.ports['API']}{path}"
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def entries(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli.run("logs", "--json", *arguments).stdout.split("\n") if line]


def until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_request_through_every_service(cli: Cli) -> None:
    cli.extra = {"JEEX_LOG_SLOW_STATEMENTS": "0", "JEEX_LOG_MAX_SIZE": "200k"}
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    ids = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "one.request"}
    assert ask(cli, "POST", "/api/v1/tokens", key, **ids) == 201

    # One timeline, whichever id is known, of everybody who had a part.
    found = cli.json("trace", "one.request")
    assert found["kind"] == "request"
    assert found["trace_ids"] == [TRACE]
    assert {one["service"] for one in found["entries"]} == {"api", "postgres", "vault"}
    request = next(one for one in found["entries"] if one["message"] == "http.request")
    assert request["offset_ms"] == 0
    assert request["duration_ms"] == found["duration_ms"] > 0
    inside = [one for one in found["entries"] if one["service"] != "api"]
    assert all(0 <= one["offset_ms"] <= found["duration_ms"] for one in inside)
    assert any("audit: update transit/sign/jwt" in one["message"] and one["duration_ms"] > 0 for one in inside)
    assert any("COMMIT" in one["message"] for one in inside)
    shown = cli.run("trace", TRACE[:10]).stdout
    assert "http.request" in shown
    assert "transit/sign" in shown
    assert cli.json("trace", "f" * 32, code=1)["code"] == "TRACE_UNKNOWN"
    # jeex' own commands are in it too.
    made = entries(cli, "cli", "--search", "tenant create")[-1]
    own = cli.json("trace", made["trace_id"])
    assert {one["service"] for one in own["entries"]} == {"cli", "postgres"}
    assert any("INSERT INTO tenant" in one["message"] for one in own["entries"])
    cli.run("secrets", "list")
    listed = cli.json("trace", entries(cli, "cli", "--search", "secrets list")[-1]["trace_id"])
    assert {one["service"] for one in listed["entries"]} == {"cli", "vault"}

    # What users send is told, and cannot pass for what it is not.
    assert ask(cli, "POST", "/api/v1/projects", key, {"name": FORGED, "slug": FORGED}) == 422
    assert ask(cli, "GET", f"/api/v1/{urllib.parse.quote(FORGED)}", key) == 404
    assert ask(cli, "GET", f"/api/v1/documents?path={urllib.parse.quote(FORGED)}", key, **{"X-Request-ID": 'a"b}{'}) >= 200
    everything = entries(cli, "--tail", "-1")
    told = [one for one in everything if "forged" in one["text"]]
    assert any(one["service"] == "api" and one["level"] == "info" for one in told)
    assert not [one for one in told if one["message"].startswith("forged") or one["level"] in ("error", "critical")]
    printed = cli.run("logs", "--tail", "-1").stdout
    assert all(line.isprintable() for line in printed.split("\n"))
    assert len({one["request_id"] for one in everything if one["request_id"] == 'a"b}{'}) == 0

    # Filters.
    assert {one["service"] for one in entries(cli, "api", "--service", "vault")} == {"api", "vault"}
    of_tenant = entries(cli, "--tenant", "acme")
    assert of_tenant
    assert {one["tenant"] for one in of_tenant} == {"acme"}
    assert {one["level"] for one in entries(cli, "--level", "warning", "--tail", "-1")} <= {"warning", "error", "critical"}
    assert [one["message"] for one in entries(cli, "api", "--search", "ONE.REQUEST")] == ["http.request"]
    assert entries(cli, "--until", "2h") == []
    assert entries(cli, "--since", "1h", "--search", "worker.started")

    # No secret in any file or output; no log grows beyond its bound, and its server goes on writing to it.
    folder = cli.folder / ".jeex" / "logs"
    text = printed + "".join(path.read_text(errors="replace") for path in folder.iterdir())
    assert [value for value in [*secrets_of(cli), key] if value in text] == []
    log = folder / "postgres.log"

    def begun_anew() -> bool:
        for _ in range(50):
            ask(cli, "GET", "/api/v1/projects", key)
        return log.with_name("postgres.log.1").exists()

    until(begun_anew)
    ask(cli, "GET", "/api/v1/whoami", key, **{"X-Request-ID": "the.last.one"})
    assert "postgres" in {one["service"] for one in cli.json("trace", "the.last.one")["entries"]}
    until(lambda: sum(path.stat().st_size for path in folder.glob("postgres.log*")) < 1_000_000)


def test_options_that_make_no_sense_together(cli: Cli) -> None:
    for arguments in (["--since", "1h", "--until", "2h"], ["-f", "--until", "1h"], ["--level", "loud"], ["nosuch"]):
        assert cli.json("logs", *arguments, code=2)
    assert cli.json("trace", "a b", code=2)["code"] == "TRACE_ID_INVALID"
