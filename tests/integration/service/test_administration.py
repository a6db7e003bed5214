"""Tenants over HTTP, for whoever has the installation's administration key."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.integration.service.client import Client, House
from tests.integration.service.conftest import ADMIN_KEY
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres

_numbers = itertools.count()


def administration(service: Service) -> Client:
    return Client(service, ADMIN_KEY)


def new_slug() -> str:
    return f"made-over-http-{next(_numbers)}"


def test_a_tenant_from_beginning_to_end(shared_api: Service) -> None:
    admin, slug = administration(shared_api), new_slug()
    made = admin.made("/tenants", slug=slug, admin_email="alice@acme.example")
    tenant, owner = made["tenant"], Client(shared_api, made["key"])
    path = f"/tenants/{tenant['id']}"
    assert (tenant["slug"], tenant["status"], made["owner"]["role"]) == (slug, "active", "owner")
    assert owner.get("/whoami").body["tenant"]["id"] == tenant["id"]
    project = owner.made("/projects", slug="p", name="P")
    assert admin.post("/tenants", {"slug": slug, "admin_email": "b@c.example"}).outcome == (409, "SLUG_TAKEN")
    assert admin.get(path).body == tenant
    assert tenant["id"] in {one["id"] for one in admin.everything("/tenants?limit=5")}
    assert admin.ask("PATCH", path, {"name": "x"}).outcome == (428, "PRECONDITION_REQUIRED")
    assert admin.patch(path, {"status": "suspended"}, '"1"').body["status"] == "suspended"
    assert owner.get("/whoami").outcome == (403, "TENANT_SUSPENDED")
    assert [one["id"] for one in admin.everything("/tenants?status=suspended")] == [tenant["id"]]
    assert admin.patch(path, {"status": "active"}).status == 200
    assert owner.get("/whoami").status == 200
    assert admin.post(f"{path}/purge").outcome == (409, "NOT_DELETED")
    assert admin.delete(path).status == 204
    assert owner.get("/whoami").outcome == (401, "UNAUTHENTICATED")
    assert admin.get(path).outcome == (404, "TENANT_UNKNOWN")
    assert admin.post(f"{path}/restore").status == 200
    assert [one["id"] for one in owner.everything("/projects")] == [project["id"]]
    admin.delete(path)
    assert admin.post(f"{path}/purge").status == 204
    assert admin.post(f"{path}/restore").outcome == (404, "TENANT_UNKNOWN")
    assert owner.get("/whoami").outcome == (401, "UNAUTHENTICATED")


def test_purging_a_tenant_takes_everything_of_it_and_nothing_else(
    shared_api: Service, postgres: Postgres, house: House
) -> None:
    admin = administration(shared_api)
    made = admin.made("/tenants", slug=new_slug(), admin_email="alice@acme.example")
    owner = Client(shared_api, made["key"])
    for client in (owner, house.owner):
        project = client.made("/projects", slug="p", name="P")["id"]
        client.made("/documents", project_id=project, path="x", title="x")
        client.post("/projects", {"slug": "q", "name": "Q"}, Idempotency_Key="k")
    admin.delete(f"/tenants/{made['tenant']['id']}")
    admin.post(f"/tenants/{made['tenant']['id']}/purge")

    def rows(tenant: object) -> list[str]:
        return [
            postgres.sql(f"SELECT count(*) FROM {table} WHERE tenant_id = '{tenant}'", database="shared")  # noqa: S608
            for table in ("app_user", "api_key", "project", "document", "idempotent_request")
        ]

    assert rows(made["tenant"]["id"]) == ["0"] * 5
    assert rows(house.made.tenant.id) == ["1", "1", "2", "1", "1"]


def test_only_the_administration_key_opens_it(shared_api: Service, house: House) -> None:
    for client in (house.owner, Client(shared_api, ADMIN_KEY + "x"), Client(shared_api, "")):
        for method, path in (("GET", "/tenants"), ("POST", "/tenants"), ("DELETE", f"/tenants/{house.made.tenant.id}")):
            body = {"slug": new_slug(), "admin_email": "a@b.example"} if method == "POST" else None
            assert client.ask(method, path, body).outcome == (401, "UNAUTHENTICATED")
    assert administration(shared_api).get("/projects").outcome == (401, "UNAUTHENTICATED")
    assert house.owner.get("/whoami").status == 200


def test_without_a_key_there_is_no_administration(postgres: Postgres, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": postgres.url("app", "shared"), "API_PORT": str(free_port())}
    service = Service("api", settings, tmp_path / "api.log")
    service.start()
    try:
        service.wait("/health")
        for key in ("", ADMIN_KEY):
            assert Client(service, key or "x").get("/tenants").outcome == (403, "ADMINISTRATION_OFF")
        signing_in = {"tenant": "acme", "email": "a@b.example", "password": "x"}
        assert Client(service, "x").post("/sign-in", signing_in).outcome == (403, "SIGN_IN_OFF")
    finally:
        service.stop()
