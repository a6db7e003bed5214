"""What a request costs as the platform fills: 10,000 documents of 100 tenants against 1,000,000 of 10,000, in one server,
and a tenant that has a tenth of all documents against an average one."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from migrations import runner
from tests.bench.machine import REST, measure, pin, start_api
from tests.integration.service.machine import request
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres

ROUNDS = 4
REQUESTS = 500
SAMPLE = 50  # tenants that are asked
SECRET = "0" * 43
SERVER = ("-c", "shared_buffers=512MB", "-c", "maintenance_work_mem=512MB", "-c", "max_wal_size=8GB")

# Tenants with a user, a key and a project each; then documents, spread evenly, and those of the large tenant. Without the
# checks of foreign keys, which take longer than all the rest.
FILL = """
SET session_replication_role = replica;
INSERT INTO tenant (slug, name) SELECT 't' || i || 'x', 'T' FROM generate_series(1, {tenants}) i;
INSERT INTO app_user (tenant_id, email, display_name, role) SELECT id, 'a@b.example', 'A', 'owner' FROM tenant;
INSERT INTO api_key (tenant_id, user_id, name, secret_hash) SELECT tenant_id, id, 'k', '\\x{digest}' FROM app_user;
INSERT INTO project (tenant_id, slug, name) SELECT id, 'p', 'P' FROM tenant;
INSERT INTO document (tenant_id, project_id, path, title, content)
  SELECT p.tenant_id, p.id, 'd/' || i, 'Document ' || (i * 7919) % {each}, repeat('x', 200)
    FROM generate_series(1, {each}) i CROSS JOIN project p;
INSERT INTO document (tenant_id, project_id, path, title, content)
  SELECT p.tenant_id, p.id, 'e/' || i, 'Document ' || (i * 7919) % 100000, repeat('x', 200)
    FROM generate_series(1, {large}) i CROSS JOIN (SELECT * FROM project ORDER BY id LIMIT 1) p;
"""


def main() -> None:
    """Print the ratios of the medians: get by id and a keyset page, and the large tenant's page."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres", options=SERVER)
        apis: list[Service] = []
        try:
            postgres.create()
            postgres.start()
            postgres.bootstrap()
            postgres.copy("few", "jeex")
            postgres.copy("many", "jeex")
            fill(postgres, "few", tenants=100, each=100, large=0)
            fill(postgres, "many", tenants=10_000, each=90, large=100_000)
            assert postgres.process is not None
            pin(postgres.process.pid, REST)
            few, many = (
                start_api({"DATABASE_URL": postgres.url("app", name)}, Path(folder) / f"{name}.log")
                for name in ("few", "many")
            )
            apis += (few, many)
            keys = {name: _keys(postgres, name) for name in ("few", "many")}
            large = keys["many"][:1]
            print("\nGrowth (p50 of a request, best of four rounds each, in turn; one connection)")
            _show(
                "get a document by id",
                _medians((few, _gets(postgres, "few", keys["few"])), (many, _gets(postgres, "many", keys["many"]))),
                1.5,
            )
            for sort in ("created_at", "title", "-updated_at"):
                pair = (few, _pages(few, keys["few"], sort)), (many, _pages(many, keys["many"][1:], sort))
                _show(f"a page of 50 by {sort}", _medians(*pair), 1.5)
                pair = (many, _pages(many, keys["many"][1:], sort)), (many, _pages(many, large, sort))
                _show(f"a page of 50 by {sort}, a tenant with 100,000", _medians(*pair), 2)
        finally:
            for api in apis:
                api.stop()
            postgres.stop()


def fill(postgres: Postgres, database: str, *, tenants: int, each: int, large: int) -> None:
    """Rows first, indexes then: quicker, and the same in the end."""
    runner.upgrade(postgres.url("owner", database), "0002")
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    postgres.sql(FILL.format(tenants=tenants, each=each, large=large, digest=digest), database=database)
    runner.upgrade(postgres.url("owner", database))
    postgres.sql("VACUUM ANALYZE", database=database)


def _keys(postgres: Postgres, database: str) -> list[tuple[str, dict[str, str]]]:
    """(tenant, credential) of the first tenant and of others spread over all."""
    found = postgres.sql(
        "SELECT tenant_id, replace(tenant_id::text, '-', ''), replace(id::text, '-', '') FROM "  # noqa: S608
        "(SELECT *, row_number() OVER (ORDER BY tenant_id) - 1 AS n, count(*) OVER () AS all FROM api_key) k "
        f"WHERE n % (k.all / {SAMPLE}) = 0 ORDER BY n",
        database=database,
    )
    rows = [line.split("|") for line in found.splitlines()]
    return [(tenant, {"Authorization": f"Bearer jx_{first}_{key}_{SECRET}"}) for tenant, first, key in rows]


def _gets(postgres: Postgres, database: str, keys: list[tuple[str, dict[str, str]]]) -> list[dict[str, Any]]:
    lines = []
    for tenant, headers in keys:
        ids = postgres.sql(
            f"SELECT id FROM document WHERE tenant_id = '{tenant}' ORDER BY md5(id::text) LIMIT 20",  # noqa: S608
            database=database,
        )
        lines += [{"method": "GET", "path": f"/api/v1/documents/{one}", "headers": headers} for one in ids.splitlines()]
    return lines


def _pages(api: Service, keys: list[tuple[str, dict[str, str]]], sort: str) -> list[dict[str, Any]]:
    """The page behind the first 20 documents; for the large tenant one from far inside."""
    lines = []
    for _, headers in keys:
        path = f"/api/v1/documents?sort={sort}"
        cursor = ""
        for _ in range(100 if len(keys) == 1 else 1):
            size = 200 if len(keys) == 1 else 20
            more = f"&cursor={cursor}" if cursor else ""
            status, body, _ = request("GET", f"http://127.0.0.1:{api.port}{path}&limit={size}{more}", None, headers)
            assert status == 200, body
            cursor = body["next_cursor"]
        lines.append({"method": "GET", "path": f"{path}&limit=50&cursor={cursor}", "headers": headers})
    return lines


def _medians(*pair: tuple[Service, list[dict[str, Any]]]) -> tuple[float, ...]:
    """The seconds of each, in turn, so that a busy moment of the machine meets both."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for place, (api, lines) in enumerate(pair):
            assert api.process is not None
            best[place] = min(best[place], measure(api.process.pid, api.port, lines, REQUESTS, connections=1).p50)
    return tuple(best)


def _show(name: str, medians: tuple[float, ...], at_most: float) -> None:
    small, large = medians
    ratio = large / small
    print(
        f"  {name:<52}{large * 1000:7.2f} ms against {small * 1000:6.2f} ms  {ratio:5.2f}x"
        f"  (at most {at_most:g}x: {'yes' if ratio <= at_most else 'NO'})"
    )


if __name__ == "__main__":
    main()
