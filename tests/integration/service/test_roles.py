"""Who may do what, and that nothing in a request but its credential says whose rows it is about."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.service.client import Client, House

FORBIDDEN = (403, "ROLE_REQUIRED")


def test_each_role_may_what_it_says(house: House) -> None:
    owner = house.owner
    viewer, member, admin = (house.member(role) for role in ("viewer", "member", "admin"))
    project = owner.made("/projects", slug="p", name="P")["id"]
    new = {"slug": "q", "name": "Q"}
    for path in ("/projects", f"/projects/{project}", "/documents", "/users", "/keys", "/whoami"):
        for client in (viewer, member, admin):
            assert client.get(path).status == 200, path
    assert viewer.post("/projects", new).outcome == FORBIDDEN
    assert viewer.patch(f"/projects/{project}", {"name": "x"}).outcome == FORBIDDEN
    assert viewer.delete(f"/projects/{project}").outcome == FORBIDDEN
    assert viewer.post("/documents", {"project_id": project, "path": "x", "title": "x"}).outcome == FORBIDDEN
    made = member.made("/projects", **new)["id"]
    assert member.delete(f"/projects/{made}").status == 204
    assert member.post(f"/projects/{made}/purge").outcome == FORBIDDEN
    assert member.post("/users", {"email": "x@x.example", "display_name": "X"}).outcome == FORBIDDEN
    assert admin.post(f"/projects/{made}/purge").status == 204
    assert admin.made("/users", email="x@x.example", display_name="X")["role"] == "member"


def test_an_administrator_is_no_owner(house: House) -> None:
    admin, owner = house.member("admin"), str(house.made.owner.id)
    assert admin.post("/users", {"email": "x@x.example", "display_name": "X", "role": "owner"}).outcome == FORBIDDEN
    for change in ({"role": "member"}, {"password": "a password of mine"}, {"email": "me@x.example"}, {"display_name": "x"}):
        assert admin.patch(f"/users/{owner}", change).outcome == FORBIDDEN
    assert admin.delete(f"/users/{owner}").outcome == FORBIDDEN
    assert admin.post("/keys", {"name": "mine", "user_id": owner}).outcome == FORBIDDEN
    me = admin.get("/whoami").body["user"]["id"]
    assert admin.patch(f"/users/{me}", {"role": "owner"}).outcome == FORBIDDEN
    assert admin.patch(f"/users/{me}", {"role": "viewer"}).status == 200  # down is always possible
    assert admin.get("/whoami").body["user"]["role"] == "viewer"


def test_everybody_may_change_their_own_names(house: House) -> None:
    viewer = house.member("viewer")
    me = viewer.get("/whoami").body["user"]["id"]
    changed = viewer.patch(f"/users/{me}", {"display_name": "Vera", "username": "vera"})
    assert (changed.status, changed.body["username"]) == (200, "vera")
    assert viewer.patch(f"/users/{me}", {"role": "admin"}).outcome == FORBIDDEN
    assert viewer.patch(f"/users/{me}", {"email": "v@x.example"}).outcome == FORBIDDEN
    assert viewer.patch(f"/users/{house.made.owner.id}", {"display_name": "x"}).outcome == FORBIDDEN
    assert house.owner.patch(f"/users/{me}", {"username": "vera"}).status == 200
    assert house.owner.post("/users", {"email": "w@x.example", "display_name": "W", "username": "vera"}).outcome == (
        409,
        "USERNAME_TAKEN",
    )
    assert house.owner.post(
        "/users", {"email": "ALICE@" + house.made.owner.email.split("@")[1], "display_name": "W"}
    ).outcome == (
        409,
        "EMAIL_TAKEN",
    )


def test_there_is_always_an_owner(house: House) -> None:
    owner, me = house.owner, str(house.made.owner.id)
    assert owner.delete(f"/users/{me}").outcome == (409, "LAST_OWNER")
    assert owner.patch(f"/users/{me}", {"role": "admin"}).outcome == (409, "LAST_OWNER")
    assert owner.patch(f"/users/{me}", {"role": "owner"}).status == 200
    second = house.member("owner")
    other = second.get("/whoami").body["user"]["id"]

    def leave(pair: tuple[Client, str]) -> int:
        return pair[0].patch(f"/users/{pair[1]}", {"role": "member"}).status

    with ThreadPoolExecutor(2) as threads:  # each takes the role of the other
        assert sorted(threads.map(leave, ((owner, other), (second, me)))) in ([200, 403], [200, 409])
    assert len([one for one in owner.everything("/users") if one["role"] == "owner"]) == 1


def test_a_deleted_user_is_out_and_a_restored_one_is_in(house: House) -> None:
    member = house.member("member")
    me = member.get("/whoami").body["user"]["id"]
    assert house.owner.delete(f"/users/{me}").status == 204
    assert member.get("/whoami").outcome == (401, "UNAUTHENTICATED")
    assert house.owner.post(f"/users/{me}/restore").status == 200
    assert member.get("/whoami").status == 200
    project = member.made("/projects", slug="p", name="P")
    house.owner.delete(f"/users/{me}")
    assert house.owner.post(f"/users/{me}/purge").status == 204
    assert house.owner.get(f"/projects/{project['id']}").body["created_by"] is None


def test_keys_are_ones_own_unless_one_administers(house: House) -> None:
    member, owner = house.member("member"), house.owner
    me = member.get("/whoami").body["user"]["id"]
    assert {one["user_id"] for one in member.get("/keys").body["items"]} == {me}
    assert len(owner.get("/keys").body["items"]) == 2
    assert member.get(f"/keys?user_id={house.made.owner.id}").outcome == FORBIDDEN
    assert member.post("/keys", {"name": "x", "user_id": str(house.made.owner.id)}).outcome == FORBIDDEN
    theirs = next(one["id"] for one in owner.get("/keys").body["items"] if one["user_id"] != me)
    assert member.delete(f"/keys/{theirs}").outcome == (404, "KEY_UNKNOWN")
    made = member.made("/keys", name="second", expires_at="2100-01-01T00:00:00Z")
    second = Client(member.service, made["key"])
    assert second.get("/whoami").body["key_id"] == made["id"]
    assert owner.delete(f"/keys/{made['id']}").status == 204
    assert owner.delete(f"/keys/{made['id']}").status == 204
    assert second.get("/whoami").outcome == (401, "UNAUTHENTICATED")
    assert made["id"] not in {one["id"] for one in member.get("/keys").body["items"]}
    assert made["id"] in {one["id"] for one in member.get("/keys?revoked=true").body["items"]}
    assert member.post("/keys", {"name": "old", "expires_at": "2001-01-01T00:00:00Z"}).outcome[0] == 422
    assert "last_used_at" in member.get("/keys").body["items"][0]
    assert member.get("/keys").body["items"][0]["last_used_at"] is not None


@pytest.mark.parametrize("where", ["header", "query", "path", "body"])
def test_another_tenant_cannot_be_named(house: House, other: House, where: str) -> None:
    tenant, slug = str(other.made.tenant.id), other.made.tenant.slug
    theirs = other.owner.made("/projects", slug="secret", name="Secret")
    document = other.owner.made("/documents", project_id=theirs["id"], path="x", title="x")
    mine = house.owner
    if where == "header":
        headers = dict.fromkeys(("X_Tenant", "X_Tenant_ID", "Tenant", "X_Forwarded_Tenant"), tenant)
        assert mine.get("/projects", **headers).body["items"] == []
        assert mine.get("/whoami", **headers, Host=f"{slug}.localhost").outcome == (400, "HOST_NOT_ALLOWED")
        assert mine.get("/whoami", **headers).body["tenant"]["id"] == str(house.made.tenant.id)
    if where == "query":
        for name in ("tenant", "tenant_id", "app.tenant_id"):
            assert mine.get(f"/projects?{name}={tenant}").outcome == (422, "INVALID")
            assert mine.get(f"/whoami?{name}={tenant}").body["tenant"]["id"] == str(house.made.tenant.id)
    if where == "path":
        for path in (f"/projects/{theirs['id']}", f"/documents/{document['id']}", f"/users/{other.made.owner.id}"):
            assert mine.get(path).outcome[0] == 404
            assert mine.patch(path, {"metadata": {}} if "users" not in path else {"display_name": "x"}).outcome[0] == 404
            assert mine.delete(path).outcome[0] == 404
            assert mine.post(f"{path}/restore").outcome[0] == 404
            assert mine.post(f"{path}/purge").outcome[0] == 404
        assert mine.get(f"/tenants/{tenant}").outcome == (401, "UNAUTHENTICATED")
    if where == "body":
        assert mine.post("/projects", {"slug": "p", "name": "P", "tenant_id": tenant}).outcome == (422, "INVALID")
        stolen = mine.post("/documents", {"project_id": theirs["id"], "path": "y", "title": "y"})
        assert stolen.outcome == (404, "PROJECT_UNKNOWN")
        assert mine.post("/keys", {"name": "x", "user_id": str(other.made.owner.id)}).outcome[0] == 404
        assert mine.made("/projects", slug="secret", name="Mine")["id"] != theirs["id"]
    assert other.owner.get(f"/projects/{theirs['id']}").body == theirs
    assert [one["id"] for one in other.owner.everything("/documents")] == [document["id"]]


def test_what_is_not_there_and_what_is_not_mine_look_the_same(house: House, other: House) -> None:
    theirs = other.owner.made("/projects", slug="p", name="P")["id"]
    foreign, nowhere = house.owner.get(f"/projects/{theirs}"), house.owner.get(f"/projects/{uuid.uuid4()}")
    for answer in (foreign, nowhere):
        for name in ("request_id", "instance"):
            answer.body.pop(name)
    assert foreign.body == nowhere.body
