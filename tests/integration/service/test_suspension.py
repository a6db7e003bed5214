"""A tenant that is suspended, deleted or purged is refused at once, by processes that were not asked to do it as well."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.service.client import Client
from tests.integration.service.conftest import ADMIN_KEY, make_tenant
from tests.integration.service.machine import until
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres
from tests.integration.service.test_identity import start as start  # noqa: PLC0414 - a fixture
from tests.integration.service.test_identity import token_of
from tests.integration.service.test_identity import vault as vault  # noqa: PLC0414 - a fixture

SOON = 5.0  # seconds: a third of what a process remembers a token for, and a hundred times what it takes
_EARS = "query LIKE 'LISTEN%jeex_tenant%' AND datname = current_database()"


def test_keys_and_tokens_end_in_every_process(start: Callable[[], Service], postgres: Postgres, database: str) -> None:
    one, other = start(), start()
    made = make_tenant(postgres.url("admin", database))
    path = f"/tenants/{made.tenant.id}"
    admin, key = Client(one, ADMIN_KEY), Client(other, made.key.reveal())
    token = Client(other, token_of(key).credential)

    def listening() -> bool:
        return postgres.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {_EARS}", database=database) == "2"  # noqa: S608

    until(listening)

    def refused(code: tuple[int, str]) -> None:
        until(lambda: token.get("/whoami").outcome == code, seconds=SOON)
        assert key.get("/whoami").outcome == code
        assert key.post("/tokens").outcome == code

    assert (token.get("/whoami").status, key.get("/whoami").status) == (200, 200)
    assert admin.patch(path, {"status": "suspended"}).status == 200
    refused((403, "TENANT_SUSPENDED"))
    assert admin.patch(path, {"status": "active"}).status == 200
    assert (token.get("/whoami").status, key.get("/whoami").status) == (200, 200)

    # A process that can no longer be told asks, whoever it remembers.
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_EARS}", database=database)  # noqa: S608
    assert token.get("/whoami").status == 200
    assert admin.patch(path, {"status": "suspended"}).status == 200
    refused((403, "TENANT_SUSPENDED"))

    assert admin.patch(path, {"status": "active"}).status == 200
    until(listening)
    assert token.get("/whoami").status == 200
    assert admin.delete(path).status == 204
    refused((401, "UNAUTHENTICATED"))
    assert admin.post(f"{path}/restore").status == 200
    assert token.get("/whoami").status == 200
