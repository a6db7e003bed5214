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
    assert cli.json("jobs", "list") == []
    assert cli.run("jobs", "dead").stdout == "No job is dead.\n"
    key = cli.json("tenant", "create", "acme", "--admin", "a@acme.example")["key"]
    cli.run("tenant", "create", "other", "--admin", "o@other.example")

    project = ask(cli, key, "POST", "/projects", {"slug": "handbook", "name": "Handbook"})
    document = {"project_id": project["id"], "path": "intro", "title": "Intro", "content": "# Hello"}
    ask(cli, key, "POST", "/documents", document)
    export = ask(cli, key, "POST", f"/projects/{project['id']}/export")
    until(lambda: ask(cli, key, "GET", f"/jobs/{export['id']}")["status"] == "done", seconds=30)
    archive = zipfile.ZipFile(BytesIO(ask(cli, key, "GET", f"/jobs/{export['id']}/result")))
    assert archive.read("intro.md").endswith(b"# Hello")

    found = cli.json("jobs", "show", export["id"])
    assert (found["tenant"], found["kind"], found["status"]) == ("acme", "project.export", "done")
    assert "handbook.zip" in cli.run("jobs", "show", export["id"], "--tenant", "acme").stdout
    assert cli.json("jobs", "show", export["id"], "--tenant", "other", code=1)["code"] == "JOB_UNKNOWN"
    assert [one["id"] for one in cli.json("jobs", "list", "--tenant", "acme", "--status", "done")] == [export["id"]]
    assert cli.json("jobs", "list", "--status", "lost", code=2)["message"] == "there is no status 'lost'"
    assert cli.json("jobs", "retry", export["id"], code=1)["code"] == "JOB_NOT_DEAD"
    assert cli.json("jobs", "show", "xyz", code=2)["message"] == "'xyz' is no id of a job"

    # What is due once a day is spread over some minutes, so it waits, and is counted.
    purge = until(lambda: [one for one in cli.json("jobs", "list", "--tenant", "acme") if one["kind"] == "purge"])[0]
    until(lambda: (cli.json("status")["queue"] or {}).get("waiting"), seconds=10)
    assert "waiting" in cli.run("status").stdout
    assert cli.json("jobs", "cancel", purge["id"])["status"] == "cancelled"
    assert cli.json("jobs", "cancel", purge["id"], code=1)["code"] == "JOB_FINISHED"
    assert cli.json("jobs", "retry", purge["id"][:-2])["status"] == "queued"
    until(lambda: cli.json("jobs", "show", purge["id"])["status"] == "done", seconds=30)
