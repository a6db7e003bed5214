"""Projects and documents, as a client sees them."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.service.client import Client, House

NOWHERE = str(uuid.uuid4())


@pytest.fixture
def full(house: House) -> Client:
    """A client whose tenant has some projects, in no order."""
    for number in (3, 9, 1, 7, 5, 0, 8, 2, 6, 4, 10):
        house.owner.made("/projects", slug=f"p{number}", name=f"Name {number % 3}")
    return house.owner


def test_a_project_from_beginning_to_end(house: House) -> None:
    client = house.owner
    made = client.post("/projects", {"slug": "handbook", "name": "  Handbook ", "metadata": {"a": [1, None, "ü", 1e3]}})
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    project = made.body
    assert made.headers["location"] == f"/api/v1/projects/{project['id']}"
    assert (project["name"], project["status"], project["metadata"]) == ("Handbook", "active", {"a": [1, None, "ü", 1000.0]})
    assert (project["created_by"], project["deleted_at"]) == (str(house.made.owner.id), None)
    path = f"/projects/{project['id']}"
    assert client.get(path).body == project
    changed = client.patch(path, {"name": "The handbook", "status": "archived"}, '"1"')
    assert (changed.status, changed.headers["etag"], changed.body["slug"]) == (200, '"2"', "handbook")
    assert changed.body["updated_at"] > project["updated_at"]
    assert client.delete(path).status == 204
    assert client.get(path).outcome == (404, "PROJECT_UNKNOWN")
    assert client.patch(path, {"name": "x"}).outcome == (404, "PROJECT_UNKNOWN")
    assert client.delete(path).outcome == (404, "PROJECT_UNKNOWN")
    assert [one["id"] for one in client.everything("/projects?deleted=true")] == [project["id"]]
    restored = client.post(f"{path}/restore")
    assert (restored.status, restored.body["name"], restored.body["deleted_at"]) == (200, "The handbook", None)
    assert client.post(f"{path}/restore").outcome == (409, "NOT_DELETED")
    assert client.post(f"{path}/purge").outcome == (409, "NOT_DELETED")
    assert client.delete(path).status == 204
    assert client.post(f"{path}/purge").status == 204
    assert client.post(f"{path}/restore").outcome == (404, "PROJECT_UNKNOWN")
    assert client.everything("/projects?deleted=true") == []


def test_a_slug_is_taken_once_and_free_after_deletion(house: House) -> None:
    client = house.owner
    first = client.made("/projects", slug="handbook", name="One")
    assert client.post("/projects", {"slug": "handbook", "name": "Two"}).outcome == (409, "SLUG_TAKEN")
    client.delete(f"/projects/{first['id']}")
    second = client.made("/projects", slug="handbook", name="Two")
    answer = client.post(f"/projects/{first['id']}/restore")
    assert answer.outcome == (409, "SLUG_TAKEN")
    assert answer.body["errors"] == [{"pointer": "/slug", "detail": answer.body["detail"]}]
    other = client.made("/projects", slug="other", name="Three")
    assert client.patch(f"/projects/{other['id']}", {"slug": "handbook"}).outcome == (409, "SLUG_TAKEN")
    assert [one["id"] for one in client.everything("/projects")] == [second["id"], other["id"]]


def test_changes_say_which_version_they_are_meant_for(house: House) -> None:
    client = house.owner
    path = f"/projects/{client.made('/projects', slug='p', name='P')['id']}"
    assert client.ask("PATCH", path, {"name": "x"}).outcome == (428, "PRECONDITION_REQUIRED")
    assert client.patch(path, {"name": "first"}, '"1"').status == 200
    late = client.patch(path, {"name": "second"}, '"1"')
    assert late.outcome == (412, "PRECONDITION_FAILED")
    assert "version 2" in late.body["detail"]
    assert client.get(path).body["name"] == "first"
    for header in ('W/"2"', '"nonsense"', '""', '"99999999999999999999"', '"-2"', '"²"'):
        assert client.patch(path, {"name": "x"}, header.encode().decode("latin-1")).outcome == (412, "PRECONDITION_FAILED")
    assert client.patch(path, {"name": "x"}, "2").outcome == (422, "MALFORMED_ETAG")
    assert client.patch(path, {}, '"1"').outcome == (412, "PRECONDITION_FAILED")
    assert client.patch(path, {}, '"1", "2"').body["row_version"] == 2
    assert client.delete(path, If_Match='"1"').outcome == (412, "PRECONDITION_FAILED")
    assert client.get(path, If_None_Match='"2"').status == 304
    assert client.get(path, If_None_Match='"1", W/"2"').status == 304
    assert client.get(path, If_None_Match='"1"').status == 200
    assert client.delete(path, If_Match='"2"').status == 204


def test_of_two_changes_of_one_version_one_wins(house: House) -> None:
    client = house.owner
    path = f"/projects/{client.made('/projects', slug='p', name='P')['id']}"
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: client.patch(path, {"name": f"n{number}"}, '"1"').status, range(8)))
    assert sorted(found) == [200] + [412] * 7


def test_a_request_with_a_key_is_carried_out_once(house: House) -> None:
    client = house.owner
    body = {"slug": "p", "name": "P"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post("/projects", body, Idempotency_Key="once"), range(8)))
    assert {(one.status, one.body["id"], one.headers["etag"], one.headers["location"]) for one in answers} == {
        (201, answers[0].body["id"], '"1"', f"/api/v1/projects/{answers[0].body['id']}")
    }
    assert sorted(one.headers.get("idempotent-replayed", "") for one in answers) == [""] + ["true"] * 7
    assert len(client.everything("/projects")) == 1
    other = client.post("/projects", {"slug": "q", "name": "Q"}, Idempotency_Key="once")
    assert other.outcome == (422, "IDEMPOTENCY_KEY_REUSED")
    assert house.member("member").post("/projects", {"slug": "q", "name": "Q"}, Idempotency_Key="once").status == 201
    assert client.post("/projects", {"slug": "r", "name": "R"}, Idempotency_Key="bad key ").outcome[0] in (201, 422)


def test_a_request_that_failed_has_not_used_its_key(house: House) -> None:
    client = house.owner
    taken = client.made("/projects", slug="p", name="P")
    assert client.post("/projects", {"slug": "p", "name": "P"}, Idempotency_Key="k").outcome == (409, "SLUG_TAKEN")
    client.delete(f"/projects/{taken['id']}")
    assert client.post("/projects", {"slug": "p", "name": "P"}, Idempotency_Key="k").status == 201


@pytest.mark.parametrize(
    "sort", ["created_at", "-created_at", "updated_at", "-updated_at", "slug", "-slug", "name", "-name"]
)
def test_pages_hold_every_row_once_in_order(full: Client, sort: str) -> None:
    found = full.everything(f"/projects?limit=3&sort={sort}")
    name = sort.removeprefix("-")
    assert len({one["id"] for one in found}) == len(found) == 11
    assert [one[name] for one in found] == sorted((one[name] for one in found), reverse=sort.startswith("-"))


def test_rows_that_come_and_go_do_not_disturb_the_pages(house: House) -> None:
    client = house.owner
    ids = [client.made("/projects", slug=f"p{number}", name="same")["id"] for number in range(6)]
    first = client.get("/projects?limit=3&sort=name").body
    client.delete(f"/projects/{first['items'][0]['id']}")
    client.made("/projects", slug="new", name="a name before")
    second = client.get(f"/projects?limit=3&sort=name&cursor={first['next_cursor']}").body
    assert [one["id"] for one in first["items"] + second["items"]] == ids


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "sort=description",
        "sort=id;drop",
        "stauts=active",
        "status=gone",
        "cursor=" + "A" * 3000,
        "deleted=maybe",
        "created_by=me",
    ],
)
def test_what_a_list_cannot_be_asked_is_said(full: Client, query: str) -> None:
    assert full.get(f"/projects?{query}").outcome == (422, "INVALID")


@pytest.mark.parametrize("cursor", ["x", "%00", "WyJuYW1lIiwxXQ", "bnVsbA"])
def test_a_cursor_is_one_that_was_given(full: Client, cursor: str) -> None:
    assert full.get(f"/projects?cursor={cursor}").outcome == (422, "CURSOR_UNKNOWN")


def test_a_cursor_belongs_to_its_order(full: Client) -> None:
    cursor = full.get("/projects?limit=3&sort=name").body["next_cursor"]
    assert full.get(f"/projects?limit=3&sort=name&cursor={cursor}").status == 200
    for sort in ("-name", "slug", "created_at", "updated_at"):
        assert full.get(f"/projects?limit=3&sort={sort}&cursor={cursor}").outcome == (422, "CURSOR_UNKNOWN")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"slug": "p"},
        {"slug": "P", "name": "x"},
        {"slug": "p", "name": " "},
        {"slug": "p", "name": "x\ny"},
        {"slug": "p", "name": "x" * 201},
        {"slug": "p", "name": "x\u0000"},
        {"slug": "p", "name": "\ud800"},
        {"slug": "p", "name": "x", "description": "\u0000"},
        {"slug": "p", "name": "x", "status": "gone"},
        {"slug": "p", "name": "x", "tenant_id": NOWHERE},
        {"slug": "p", "name": "x", "metadata": []},
        {"slug": "p", "name": "x", "metadata": {"a": "\u0000"}},
        {"slug": "p", "name": "x", "metadata": {"\ud800": 1}},
        {"slug": "p", "name": "x", "metadata": {"a": float("inf")}},
        {"slug": "p", "name": "x", "metadata": {"a": float("nan")}},
        {"slug": "p", "name": "x", "metadata": {"a": "x" * 17_000}},
        {"slug": "p", "name": "x", "metadata": {"a": [0] * 8000}},
    ],
)
def test_bodies_that_break_a_rule_change_nothing(house: House, body: object) -> None:
    answer = house.owner.post("/projects", body)
    assert answer.outcome == (422, "INVALID")
    assert house.owner.everything("/projects") == []


def test_deep_metadata_is_refused(house: House) -> None:
    nested: object = 1
    for _ in range(40):
        nested = [nested]
    assert house.owner.post("/projects", {"slug": "p", "name": "x", "metadata": {"a": nested}}).outcome == (422, "INVALID")


def test_null_is_no_value_of_what_cannot_be_empty(house: House) -> None:
    path = f"/projects/{house.owner.made('/projects', slug='p', name='P')['id']}"
    for field in ("slug", "name", "description", "status", "metadata"):
        assert house.owner.patch(path, {field: None}).outcome == (422, "INVALID")


def test_documents_of_a_project(house: House) -> None:
    client = house.owner
    project = client.made("/projects", slug="p", name="P")["id"]
    made = client.made("/documents", project_id=project, path="guides/install", title="Install", content="# Hi\n")
    assert (made["slug"], made["version"], made["type"], made["status"]) == ("install", 1, "markdown", "draft")
    path = f"/documents/{made['id']}"
    assert client.patch(path, {"status": "published"}).body["version"] == 1
    assert client.patch(path, {"content": "# Hi\n"}).body["version"] == 1
    changed = client.patch(path, {"content": "# Ho\n", "title": "Install it"}).body
    assert (changed["version"], changed["row_version"], changed["content"]) == (2, 4, "# Ho\n")
    assert client.patch(path, {"path": "guides/set-up"}).body["slug"] == "set-up"
    assert "content" not in client.get("/documents").body["items"][0]
    taken = client.post("/documents", {"project_id": project, "path": "guides/set-up", "title": "x"})
    assert taken.outcome == (409, "PATH_TAKEN")
    for unknown in (NOWHERE, made["id"]):
        answer = client.post("/documents", {"project_id": unknown, "path": "x", "title": "x"})
        assert answer.outcome == (404, "PROJECT_UNKNOWN")


def test_documents_are_found_by_what_they_are(house: House) -> None:
    client = house.owner
    one, two = (client.made("/projects", slug=slug, name=slug)["id"] for slug in ("one", "two"))
    for project, path, kind in ((one, "a/x", "text"), (one, "a/b/x", "html"), (one, "ab", "text"), (two, "a/x", "text")):
        client.made("/documents", project_id=project, path=path, title=path, type=kind)

    def paths(query: str) -> list[str]:
        return [item["path"] for item in client.everything(f"/documents?sort=path&limit=1&{query}")]

    assert paths("") == ["a/b/x", "a/x", "a/x", "ab"]
    assert paths(f"project_id={one}&below=a") == ["a/b/x", "a/x"]
    assert paths(f"project_id={two}") == ["a/x"]
    assert paths("type=html") == ["a/b/x"]
    assert paths("slug=x") == ["a/b/x", "a/x", "a/x"]
    assert paths(f"path=ab&project_id={two}") == []
    assert paths(f"created_by={house.made.owner.id}&type=text&status=draft") == ["a/x", "a/x", "ab"]
    assert paths(f"created_by={NOWHERE}") == []


def test_documents_go_and_come_back_with_their_project(house: House) -> None:
    client = house.owner
    project = client.made("/projects", slug="p", name="P")["id"]
    kept, gone = (client.made("/documents", project_id=project, path=path, title="x")["id"] for path in ("kept", "gone"))
    client.delete(f"/documents/{gone}")
    client.delete(f"/projects/{project}")
    assert client.get(f"/documents/{kept}").outcome == (404, "DOCUMENT_UNKNOWN")
    assert client.post(f"/documents/{kept}/restore").outcome == (409, "PROJECT_DELETED")
    assert client.post("/documents", {"project_id": project, "path": "x", "title": "x"}).outcome == (404, "PROJECT_UNKNOWN")
    client.post(f"/projects/{project}/restore")
    assert [one["id"] for one in client.everything("/documents")] == [kept]
    assert client.post(f"/documents/{gone}/restore").status == 200
    client.delete(f"/projects/{project}")
    assert client.post(f"/projects/{project}/purge").status == 204
    assert client.everything("/documents?deleted=true") == []


def test_content_is_limited_by_its_bytes(house: House) -> None:
    client = house.owner
    project = client.made("/projects", slug="p", name="P")["id"]
    most = "é" * (512 * 1024)
    assert client.post("/documents", {"project_id": project, "path": "x", "title": "x", "content": most}).status == 201
    for content in (most + "e", "\u0000"):
        answer = client.post("/documents", {"project_id": project, "path": "y", "title": "x", "content": content})
        assert answer.outcome == (422, "INVALID")
    large = client.post("/documents", {"project_id": project, "path": "y", "title": "x", "content": "x" * 2**23})
    assert large.outcome == (413, "BODY_TOO_LARGE")
