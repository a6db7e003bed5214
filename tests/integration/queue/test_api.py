"""Jobs over HTTP: an export from its request to its file, the list, and changes as they happen."""

from __future__ import annotations

import http.client
import io
import json
import signal
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.integration.queue.conftest import Plant, until
from tests.integration.service.client import Client
from tests.integration.service.machine import stop

FIELDS = {
    *("id", "kind", "status", "progress", "message", "attempts", "max_attempts", "error", "request_id", "result"),
    *("created_at", "started_at", "finished_at", "run_at"),
}


@pytest.fixture
def owner(plant: Plant) -> Client:
    return plant.client(plant.api())


def download(client: Client, job_id: str) -> tuple[int, bytes, dict[str, str]]:
    """The file of a job."""
    connection = http.client.HTTPConnection("127.0.0.1", client.service.port, timeout=10)
    connection.request("GET", f"/api/v1/jobs/{job_id}/result", headers={"Authorization": f"Bearer {client.credential}"})
    answer = connection.getresponse()
    found = answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return found


def done(client: Client, job_id: str) -> dict[str, Any]:
    """The job once it is finished."""
    until(lambda: client.get(f"/jobs/{job_id}").body["status"] not in ("queued", "running"))
    found: dict[str, Any] = client.get(f"/jobs/{job_id}").body
    return found


def test_a_project_is_exported(plant: Plant, owner: Client) -> None:
    project = owner.made("/projects", slug="handbook", name="Handbook", description="All of it", metadata={"a": "x\u0085y"})
    texts = {
        "intro": "# Hello",
        "guide/setup": "two\nlines",
        "guide/notes.md": "n",
        "intro.md": "the other",
        "a.md": "a",
        "a.md/b": "b",
    }
    for path, text in texts.items():
        owner.made("/documents", project_id=project["id"], path=path, title=f'"{path}": a title', content=text)
    gone = owner.made("/documents", project_id=project["id"], path="gone", title="Gone")
    owner.delete(f"/documents/{gone['id']}")

    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    asked = owner.post(f"/projects/{project['id']}/export", X_Request_ID="export-1", traceparent=trace)
    assert asked.status == 202
    assert asked.body.keys() == FIELDS
    assert (asked.body["status"], asked.body["attempts"], asked.body["request_id"]) == ("queued", 0, "export-1")
    assert asked.headers["location"] == f"/api/v1/jobs/{asked.body['id']}"
    # The same while it is not finished; and nothing to download yet.
    assert owner.post(f"/projects/{project['id']}/export").body["id"] == asked.body["id"]
    assert owner.get(f"/jobs/{asked.body['id']}/result").outcome == (409, "JOB_NOT_DONE")

    one = plant.worker()
    job = done(owner, asked.body["id"])
    assert (job["status"], job["progress"], job["message"], job["attempts"]) == ("done", 100, "6 documents", 1)
    status, content, headers = download(owner, job["id"])
    assert (status, headers["content-type"]) == (200, "application/zip")
    assert headers["content-disposition"] == 'attachment; filename="handbook.zip"'
    assert len(content) == job["result"]["bytes"] == int(headers["content-length"])
    archive = zipfile.ZipFile(io.BytesIO(content))
    files = {name: archive.read(name).decode() for name in archive.namelist()}
    other = [name for name in files if name.startswith("_other/")]
    assert {*files} - {*other} == {"_project.md", "intro.md", "guide/setup.md", "guide/notes.md", "a.md"}
    assert len(other) == 2  # intro.md is taken by intro, and a.md cannot be a folder too
    _, front, text = files["guide/setup.md"].split("---\n", 2)
    about = yaml.safe_load(front)
    assert (about["path"], about["title"], about["version"]) == ("guide/setup", '"guide/setup": a title', 1)
    assert text == "\ntwo\nlines"
    assert yaml.safe_load(files["_project.md"].split("---\n")[1])["metadata"] == {"a": "x\u0085y"}
    assert one.stop() == 0
    ended = one.says("job.ended")[0]
    assert (ended["request_id"], ended["trace_id"]) == ("export-1", trace[3:35])


def test_what_cannot_be_exported_says_why(plant: Plant, owner: Client) -> None:
    project = owner.made("/projects", slug="large", name="Large")
    owner.made("/documents", project_id=project["id"], path="a", title="A", content="x" * 5000)
    gone = owner.made("/projects", slug="gone", name="Gone")
    large = owner.post(f"/projects/{project['id']}/export").body["id"]
    late = owner.post(f"/projects/{gone['id']}/export").body["id"]
    owner.delete(f"/projects/{gone['id']}")
    assert owner.post(f"/projects/{gone['id']}/export").outcome == (404, "PROJECT_UNKNOWN")
    plant.worker(EXPORT_LIMIT="2000")
    assert done(owner, large)["error"] == "the project has more than the 2000 bytes that an export may have"
    job = done(owner, late)
    # What will not go better is not tried again.
    assert (job["status"], job["attempts"], job["error"]) == ("dead", 1, "the project is not there any more")
    assert owner.get(f"/jobs/{late}/result").outcome == (404, "RESULT_UNKNOWN")


def test_lists_and_changes_of_one_tenant_alone(plant: Plant, owner: Client) -> None:
    ids = plant.enqueue("test.effect", [{}] * 5)
    other = plant.client(owner.service, "other")
    theirs = plant.enqueue("test.effect", slug="other")[0]
    assert [one["id"] for one in owner.everything("/jobs?limit=2")] == ids[::-1]
    assert [one["id"] for one in owner.everything("/jobs?sort=created_at&status=queued&limit=2")] == ids
    assert owner.get("/jobs?status=lost").status == 422
    for method, path in (("GET", ""), ("GET", "/result"), ("POST", "/cancel"), ("POST", "/retry")):
        assert owner.ask(method, f"/jobs/{theirs}{path}").outcome == (404, "JOB_UNKNOWN")
    assert owner.post(f"/jobs/{ids[0]}/retry").outcome == (409, "JOB_NOT_DEAD")
    assert owner.post(f"/jobs/{ids[0]}/cancel").body["status"] == "cancelled"
    assert owner.post(f"/jobs/{ids[0]}/cancel").outcome == (409, "JOB_FINISHED")
    assert owner.get("/jobs?status=cancelled").body["items"][0]["id"] == ids[0]
    again = owner.post(f"/jobs/{ids[0]}/retry").body
    assert (again["status"], again["attempts"], again["finished_at"]) == ("queued", 0, None)
    user = owner.made("/users", email="v@x.example", display_name="V", role="viewer")
    viewer = Client(owner.service, owner.made("/keys", name="v", user_id=user["id"])["key"])
    assert viewer.get(f"/jobs/{ids[0]}").status == 200
    assert viewer.post(f"/jobs/{ids[0]}/cancel").outcome == (403, "ROLE_REQUIRED")
    plant.worker()
    assert plant.finished() == {"done": 6}
    assert other.get(f"/jobs/{theirs}").body["status"] == "done"


@contextmanager
def stream(client: Client) -> Iterator[Iterator[dict[str, Any]]]:
    """The jobs as they come."""
    connection = http.client.HTTPConnection("127.0.0.1", client.service.port, timeout=20)
    connection.request("GET", "/api/v1/jobs/events", headers={"Authorization": f"Bearer {client.credential}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")

    def told() -> Iterator[dict[str, Any]]:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    try:
        yield told()
    finally:
        answer.close()
        connection.close()


@pytest.mark.parametrize("pooler", ["none", "transaction"])
def test_changes_are_told_as_they_happen(plant: Plant, pooler: str) -> None:
    api = plant.api(DATABASE_POOLER=pooler)
    owner = plant.client(api)
    first = plant.enqueue("test.effect")[0]
    with stream(owner) as told:
        begins = next(told)
        assert (begins["id"], begins["status"]) == (first, "queued")
        plant.enqueue("test.effect", slug="other")
        slow = plant.enqueue("test.slow", [{"steps": 50}])[0]
        plant.worker()
        seen: list[dict[str, Any]] = []
        while not any(one["id"] == slow and one["status"] == "done" for one in seen):
            seen.append(next(told))
        assert {one["id"] for one in seen} <= {first, slow}
        assert all(one.keys() == FIELDS for one in seen)
        assert [one["status"] for one in seen if one["id"] == first][-1] == "done"
        if pooler == "transaction":
            return  # then it looks each second, and may miss what is between
        middle = [one for one in seen if one["id"] == slow and one["status"] == "running" and one["progress"]]
        assert middle, "no progress was told"


def test_a_stream_ends_with_its_process_and_there_are_not_too_many(plant: Plant) -> None:
    api = plant.api()
    owner = plant.client(api)
    held = [stream(owner) for _ in range(10)]
    entered = [one.__enter__() for one in held]
    assert owner.get("/jobs/events").outcome == (429, "STREAMS_LIMITED")
    assert owner.ask("HEAD", "/jobs/events").status == 200
    assert plant.client(api, "other").ask("HEAD", "/jobs/events").status == 200
    held.pop().__exit__(None, None, None)
    until(lambda: ends_well(owner))
    stop(api.process, signal.SIGTERM)
    assert api.process is not None
    assert api.process.returncode == 0
    assert list(entered[0]) == []
    for one in held:
        one.__exit__(None, None, None)


def ends_well(owner: Client) -> bool:
    """Whether there is room for another stream."""
    connection = http.client.HTTPConnection("127.0.0.1", owner.service.port, timeout=5)
    connection.request("GET", "/api/v1/jobs/events", headers={"Authorization": f"Bearer {owner.credential}"})
    answer = connection.getresponse()
    answer.close()
    connection.close()
    return answer.status == 200


def test_a_stream_outlives_the_time_of_a_request_and_not_its_key(plant: Plant) -> None:
    api = plant.api(REQUEST_TIMEOUT="1")
    owner = plant.client(api)
    key = owner.made("/keys", name="short")
    brief = Client(api, key["key"])
    with stream(brief) as told:
        job = plant.enqueue("test.effect")[0]
        assert next(told)["id"] == job
        plant.sql("SELECT pg_sleep(1.5)")
        later = plant.enqueue("test.effect")[0]
        assert next(told)["id"] == later
        owner.delete(f"/keys/{key['id']}")
        assert list(told) == []
