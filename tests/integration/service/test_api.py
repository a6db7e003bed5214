"""The API as a client sees it, over HTTP, from a process of its own."""

from __future__ import annotations

import re
import socket

import pytest

from tests.integration.service.conftest import make_tenant
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres

PROBLEM = "application/problem+json"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_health_and_readiness(shared_api: Service) -> None:
    assert shared_api.get("/health")[:2] == (200, {"status": "ok", "instance": ""})
    status, body, _ = shared_api.get("/ready")
    assert (status, body["status"]) == (200, "ready")


def test_not_ready_until_migrated(postgres: Postgres, database: str, api: Service) -> None:
    postgres.sql("UPDATE alembic_version SET version_num = '0000'", database=database)
    status, body, headers = api.get("/ready")
    assert (status, headers["content-type"], body["code"], body["missing"]) == (503, PROBLEM, "NOT_READY", ["migrations"])
    postgres.sql("DROP TABLE alembic_version", database=database)
    assert api.get("/ready")[1]["missing"] == ["migrations"]
    assert api.get("/health")[0] == 200


def test_a_key_answers_for_its_tenant(postgres: Postgres, database: str, api: Service) -> None:
    made = [make_tenant(postgres.url("admin", database), slug) for slug in ("acme", "other")]
    for one in made:
        status, body, _ = api.get("/api/v1/whoami", Authorization=f"Bearer {one.key.reveal()}")
        assert status == 200
        assert body["tenant"] == {"id": str(one.tenant.id), "slug": one.tenant.slug, "name": one.tenant.name}
        assert (body["user"]["email"], body["user"]["role"]) == (one.owner.email, "owner")


def test_no_other_credential_does(postgres: Postgres, database: str, api: Service) -> None:
    acme = make_tenant(postgres.url("admin", database), "acme")
    other = make_tenant(postgres.url("admin", database), "other")
    key = acme.key.reveal()
    _, _, key_id, secret = key.split("_")
    swapped = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    for credential in (
        "",
        "Bearer",
        "Bearer nonsense",
        f"Basic {key}",
        f"Bearer {key}x",
        f"Bearer jx_{acme.tenant.id.hex}_{key_id}_{swapped}",
        f"Bearer jx_{other.tenant.id.hex}_{key_id}_{secret}",  # another tenant's name over a good secret
        f"Bearer jx_{acme.tenant.id.hex}_{acme.owner.id.hex}_{secret}",
        f"Bearer {key.upper()}",
    ):
        status, body, headers = api.get("/api/v1/whoami", Authorization=credential, X_Tenant=acme.tenant.slug)
        assert (status, body["code"], headers["content-type"]) == (401, "UNAUTHENTICATED", PROBLEM), credential
        assert headers["www-authenticate"] == "Bearer"


def test_a_key_ends_with_what_it_stands_for(postgres: Postgres, database: str, api: Service) -> None:
    for number, (change, expected) in enumerate(
        (
            ("UPDATE api_key SET revoked_at = now() WHERE tenant_id", 401),
            ("UPDATE api_key SET created_at = '2001-01-01', expires_at = '2001-01-02' WHERE tenant_id", 401),
            ("UPDATE app_user SET deleted_at = now() WHERE tenant_id", 401),
            ("UPDATE tenant SET deleted_at = now() WHERE id", 401),
            ("UPDATE tenant SET status = 'suspended' WHERE id", 403),
        )
    ):
        made = make_tenant(postgres.url("admin", database), f"acme-{number}")
        credential = f"Bearer {made.key.reveal()}"
        assert api.get("/api/v1/whoami", Authorization=credential)[0] == 200
        postgres.sql(f"{change} = '{made.tenant.id}'", database=database)
        assert api.get("/api/v1/whoami", Authorization=credential)[0] == expected, change


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/static/nothing", 404, "NOT_FOUND"),
        ("GET", "/static/../../app.py", 404, "NOT_FOUND"),
        ("DELETE", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/static/docs.js", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/health/", 404, "NOT_FOUND"),
    ],
)
def test_what_is_not_a_success_is_a_problem(shared_api: Service, method: str, path: str, status: int, code: str) -> None:
    got, body, headers = shared_api.ask(method, path)
    assert (got, body["status"], body["code"], headers["content-type"]) == (status, status, code, PROBLEM)
    assert set(body) >= {"type", "title", "detail", "instance"}
    assert body["request_id"] == headers["x-request-id"]


def test_what_is_no_http_is_a_problem_too(shared_api: Service) -> None:
    with socket.create_connection(("127.0.0.1", shared_api.port)) as connection:
        connection.sendall(b"this is not http\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert PROBLEM.encode() in answer


def test_ids_travel_through_answer_and_log(api: Service) -> None:
    _, _, headers = api.get("/health", X_Request_ID="abc-1.2_3", traceparent=TRACE)
    assert headers["x-request-id"] == "abc-1.2_3"
    assert re.fullmatch(r"00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01", headers["traceparent"])
    api.stop()
    line = next(one for one in api.lines() if one.get("request_id") == "abc-1.2_3")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (line["event"], line["method"], line["path"], line["status"]) == ("http.request", "GET", "/health", 200)
    assert (line["level"], line["process"]) == ("info", "api")
    assert line["ms"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])


def test_every_request_is_one_line_and_no_secret_is_in_it(postgres: Postgres, database: str, api: Service) -> None:
    key = make_tenant(postgres.url("admin", database)).key.reveal()
    forged = '%0a{"level":"info","event":"forged"}%e2%80%a8%c2%85%1b[31m'
    api.get("/api/v1/whoami", Authorization=f"Bearer {key}")
    api.get(f"/{forged}")
    api.get(f"/{key}")
    api.get("/health", X_Request_ID="bad id\tforged")
    api.stop()
    raw = api.log.read_text()
    lines = [one for one in api.lines() if one["event"] == "http.request"]
    assert next(one for one in lines if one["path"].startswith("/api"))["tenant"] == "acme"
    assert all(re.fullmatch(r"[\x20-\x7e]+", line) for line in raw.splitlines())
    assert not [one for one in api.lines() if one["event"] == "forged"]
    assert key.rpartition("_")[2] not in raw
    assert len({one["request_id"] for one in lines}) == len(lines)


def test_security_headers_and_no_banner(shared_api: Service) -> None:
    for path in ("/health", "/nothing", "/docs"):
        headers = shared_api.get(path)[2]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_cors_for_the_frontend_and_nobody_else(shared_api: Service) -> None:
    ours, theirs = "http://127.0.0.1:5200", "http://evil.example"
    wanted = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
    status, _, headers = shared_api.ask("OPTIONS", "/api/v1/whoami", Origin=ours, **wanted)
    assert (status, headers["access-control-allow-origin"]) == (200, ours)
    status, body, headers = shared_api.ask("OPTIONS", "/api/v1/whoami", Origin=theirs, **wanted)
    assert (status, body["code"], headers["content-type"]) == (400, "CORS_REFUSED", PROBLEM)
    assert "access-control-allow-origin" not in headers
    for path in ("/api/v1/system/status", "/api/v1/whoami", "/nothing"):  # a browser may read errors too
        headers = shared_api.get(path, Origin=ours)[2]
        assert headers["access-control-allow-origin"] == ours
        assert "X-Request-ID" in headers["access-control-expose-headers"]
        assert "access-control-allow-origin" not in shared_api.get(path, Origin=theirs)[2]


def test_the_documentation_needs_no_network(shared_api: Service) -> None:
    status, page, headers = shared_api.get("/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(linked) == 4
    for path in linked:
        if path != "data:,":
            assert path.startswith("/static/")
            assert shared_api.get(path)[0] == 200
    assert "<script>" not in page  # the policy allows none
    document = shared_api.get("/openapi.json")[1]
    assert document["openapi"].startswith("3.")
    assert {"/health", "/ready", "/api/v1/system/status", "/api/v1/whoami"} <= set(document["paths"])
    assert "Problem" in document["components"]["schemas"]
