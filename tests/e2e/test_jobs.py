"""Jobs from a request to `jeex jobs`, on a whole stack."""

from __future__ import annotations

import json
import urllib.request
import zipfile
from io import BytesIO
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.integration.service.machine import until

pytestmark = pytest.mark.e2e


def ask(cli: Cli, key: str, method: str, path: str, body: object = None) -> Any:
    """What the API answers: JSON, or bytes."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{cli.ports['API']}/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        content = answer.read()
        return json.loads(content) if answer.headers["content-type"] == "application/json" else content


def test_jobs_on_the_command_line(cli: Cli) -> None:
    cli.run("up")
    assert cli.run("jobs", "dead").stdout == "No job is dead.\n"
    key = cli.json("tenant", "create", "acme", "--admin", "a@acme.example")["key"]

    project = ask(cli, key, "POST", "/projects", {"slug": "handbook", "name": "Handbook"})
    document = {"project_id": project["id"], "path": "intro", "title": "Intro", "content": "# Hello"}
    ask(cli, key, "POST", "/documents", document)
    export = ask(cli, key, "POST", f"/projects/{project['id']}/export")["id"]
    until(lambda: ask(cli, key, "GET", f"/jobs/{export}")["status"] == "done", seconds=30)
    archive = zipfile.ZipFile(BytesIO(ask(cli, key, "GET", f"/jobs/{export}/result")))
    assert archive.read("intro.md").endswith(b"# Hello")

    found = cli.json("jobs", "show", export)
    assert (found["tenant"], found["kind"], found["status"]) == ("acme", "project.export", "done")
    assert [one["id"] for one in cli.json("jobs", "list", "--tenant", "acme", "--status", "done")] == [export]
    assert cli.json("jobs", "list", "--status", "lost", code=2)["message"] == "there is no status 'lost'"
    assert cli.json("jobs", "retry", export[:-2], code=1)["code"] == "JOB_NOT_DEAD"

    # What is due once a day is spread over some minutes, so it waits, and is counted.
    items = until(lambda: ask(cli, key, "GET", "/jobs?status=queued")["items"], seconds=30)
    waiting = next(one for one in items if one["kind"] in ("purge", "cache.warm"))
    until(lambda: (cli.json("status")["queue"] or {"waiting": 0})["waiting"] >= 1, seconds=30)
    assert cli.run("jobs", "cancel", waiting["id"]).stdout == f"{waiting['id']} is cancelled\n"
    assert "queued again" in cli.run("jobs", "retry", waiting["id"]).stdout
    until(lambda: ask(cli, key, "GET", f"/jobs/{waiting['id']}")["status"] == "done", seconds=30)
