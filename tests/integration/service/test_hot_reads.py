"""Hot reads over HTTP, two API processes over one PostgreSQL and one Redis: what one acknowledged, the other shows."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from service.adapters.cache import Cache
from service.adapters.database import Database
from service.adapters.link import Link
from service.core.settings import Secret
from service.services.reading import Reading
from tests.integration.service.client import Answer, Client
from tests.integration.service.conftest import make_tenant, run
from tests.integration.service.machine import until
from tests.integration.service.twins import Twins, ready


def document(client: Client, slug: str = "docs") -> tuple[str, str]:
    """A project and a document in it: their ids."""
    project = client.made("/projects", slug=slug, name="Docs")["id"]
    made = client.made("/documents", project_id=project, path="guide", title="Guide", content="first")
    return str(project), str(made["id"])


def test_whatever_one_process_acknowledges_the_other_shows(twins: Twins) -> None:
    project, one = document(twins.one)
    path, listed = f"/documents/{one}", f"/documents?project_id={project}"
    for number in range(20):
        writer, reader = (twins.one, twins.other) if number % 2 else (twins.other, twins.one)
        before = reader.get(path)
        changed = writer.patch(path, {"title": f"Title {number}"}, if_match=before.headers["etag"])
        assert changed.status == 200, changed.body
        for client in (reader, writer):
            found = client.get(path)
            assert (found.body, found.headers["etag"]) == (changed.body, changed.headers["etag"])
            assert client.get(listed).body["items"][0]["title"] == f"Title {number}"
        assert reader.get(path, If_None_Match=changed.headers["etag"]).status == 304
        assert reader.get(path, If_None_Match=before.headers["etag"]).status == 200
    assert twins.one.delete(path).status == 204
    assert [client.get(path).outcome for client in (twins.other, twins.one)] == [(404, "DOCUMENT_UNKNOWN")] * 2
    assert twins.one.post(f"{path}/restore").status == 200
    assert [client.get(path).status for client in (twins.other, twins.one)] == [200, 200], "that it was gone was remembered"
    # With its project it goes, and comes back.
    assert twins.other.delete(f"/projects/{project}").status == 204
    assert twins.one.get(path).status == twins.one.get(f"/projects/{project}").status == 404
    assert twins.one.get(listed).body["items"] == []
    assert twins.one.post(f"/projects/{project}/restore").status == 200
    assert twins.other.get(path).status == twins.other.get(f"/projects/{project}").status == 200


def test_what_is_read_again_is_not_looked_up_again(twins: Twins) -> None:
    _, one = document(twins.one)
    missing = f"/documents/{uuid.uuid4()}"
    answers = [client.get(path) for client in (twins.one, twins.other) for path in (f"/documents/{one}", missing)]
    until(lambda: twins.cached() == 2)
    before = twins.pair.loads("document")
    for _ in range(10):
        again = [client.get(path) for client in (twins.one, twins.other) for path in (f"/documents/{one}", missing)]
        assert [one.status for one in again] == [200, 404] * 2
        assert again[0].body == answers[0].body
        assert again[1].outcome == (404, "DOCUMENT_UNKNOWN")
    assert twins.pair.loads("document") == before


def test_five_hundred_who_miss_at_once_are_one_load(twins: Twins) -> None:
    _, one = document(twins.one)
    before = twins.pair.loads("document")
    with ThreadPoolExecutor(50) as threads:
        asked = [
            threads.submit(_ten, client, f"/api/v1/documents/{one}")
            for _ in range(25)
            for client in (twins.one, twins.other)
        ]
        assert [found for each in asked for found in each.result()] == [(200, one)] * 500
    assert twins.pair.loads("document") == before + 1


def _ten(client: Client, path: str) -> list[tuple[int, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", client.service.port, timeout=30)
    found = []
    for _ in range(10):
        connection.request("GET", path, headers={"Authorization": f"Bearer {client.credential}"})
        answer = connection.getresponse()
        found.append((answer.status, json.loads(answer.read())["id"]))
    connection.close()
    return found


def test_who_may_not_is_refused_whatever_is_cached(twins: Twins) -> None:
    _, one = document(twins.one)
    path = f"/documents/{one}"
    assert twins.one.get(path).status == 200
    until(lambda: twins.cached() == 1)
    stranger = make_tenant(twins.pair.postgres.url("admin", twins.pair.database), f"globex-{twins.tenant.hex[-8:]}")
    foreign = Client(twins.one.service, stranger.key.reveal())
    assert foreign.get(path).outcome == (404, "DOCUMENT_UNKNOWN")
    assert foreign.get("/documents").body["items"] == []
    assert Client(twins.one.service, "jx_nothing").get(path).status == 401
    key = twins.one.made("/keys", name="second")
    second = Client(twins.other.service, key["key"])
    assert second.get(path).status == 200
    assert twins.one.delete(f"/keys/{key['id']}").status == 204
    assert second.get(path).status == 401


def test_a_silent_redis_fails_no_request_and_is_used_again_once_it_answers(twins: Twins) -> None:
    _, one = document(twins.one)
    path = f"/documents/{one}"
    clients = (twins.one, twins.other)
    assert [client.get(path).status for client in clients] == [200, 200]
    twins.pair.hole.silent = True
    with ThreadPoolExecutor(8) as threads:
        found: list[Answer] = list(threads.map(lambda number: clients[number % 2].get(path), range(200)))
    assert {answer.status for answer in found} == {200}
    for number in range(10):
        changed = clients[number % 2].patch(path, {"title": f"Away {number}"})
        assert changed.status == 200
        assert [client.get(path).body["title"] for client in clients] == [f"Away {number}"] * 2
    before = [ready(service) for service in twins.pair.services]
    twins.pair.hole.silent = False
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert [client.get(path).body["title"] for client in clients] == ["Away 9"] * 2
        if all(ready(service) > once for service, once in zip(twins.pair.services, before, strict=True)):
            break
    else:
        raise AssertionError("it did not recover")
    assert [client.get(path).body["title"] for client in clients] == ["Away 9"] * 2
    until(lambda: twins.cached() >= 1)


def test_a_tenant_is_warmed_up(twins: Twins) -> None:
    project, one = document(twins.one)

    async def warm() -> int:
        link = Link(Secret(twins.pair.valkey.url))
        async with Database(Secret(twins.pair.postgres.url("app", twins.pair.database))) as database:
            cache = Cache(link)
            try:
                await link.open()
                link.breaker.close()
                return await Reading(cache, database).warm(twins.tenant)
            finally:
                await cache.close()
                await link.close()

    assert run(warm()) == 4
    until(lambda: twins.cached() == 4)
    before = twins.pair.loads("document"), twins.pair.loads("project")
    for path in ("/projects", "/documents", f"/projects/{project}", f"/documents/{one}"):
        assert twins.other.get(path).status == 200
    assert (twins.pair.loads("document"), twins.pair.loads("project")) == before
