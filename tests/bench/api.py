"""What a request costs, authenticated, bound to its tenant, under row security, with every middleware on, against FastAPI
and bare asyncpg doing the same statement without any of that. CPU is that of the server's process alone."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from migrations import runner
from tests.bench.machine import REST, SERVER, Measured, measure, pin, start_api, start_bare
from tests.integration.service.conftest import make_tenant
from tests.integration.service.machine import request, stop, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres

ROUNDS = 5
REQUESTS = 3_000
_slugs = itertools.count()


def main() -> None:
    """Print the ratios of reading one project, creating one, and listing 50 documents; then what the rest is spent on."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        vault = OpenBao(Path(folder) / "vault", postgres)
        bare: subprocess.Popen[bytes] | None = None
        api: Service | None = None
        try:
            postgres.create()
            postgres.start()
            postgres.bootstrap()
            runner.upgrade(postgres.url("owner"))
            vault.prepare()
            vault.start()
            made = make_tenant(postgres.url("admin"))
            tenant, user = made.tenant.id, made.owner.id
            project = postgres.sql(
                f"INSERT INTO project (tenant_id, slug, name, created_by) VALUES ('{tenant}', 'p', 'P', '{user}') "  # noqa: S608
                "RETURNING id"
            )
            postgres.sql(
                "INSERT INTO document (tenant_id, project_id, path, title, content, created_by) "  # noqa: S608
                f"SELECT '{tenant}', '{project}', 'guides/' || i, 'Guide ' || i, repeat('x', 500), '{user}' "
                "FROM generate_series(1, 1000) i; ANALYZE"
            )
            seed = Service("seed", vault.seed_settings(), Path(folder) / "seed.log")
            assert seed.run() == 0, seed.log.read_text()
            api = start_api({"DATABASE_URL": postgres.url("app"), **vault.settings("jeex-api")}, Path(folder) / "api.log")
            # As the superuser, whom row security does not bind.
            bare, bare_port = start_bare(postgres.url("postgres"), tenant, user, Path(folder) / "bare.log")
            pin(bare.pid, SERVER)
            until(lambda: request("GET", f"http://127.0.0.1:{bare_port}/nothing")[0] == 200)
            assert postgres.process is not None
            pin(postgres.process.pid, REST)
            key = {"Authorization": f"Bearer {made.key.reveal()}"}
            status, token, _ = request("POST", f"http://127.0.0.1:{api.port}/api/v1/tokens", None, key)
            assert status == 201, token
            credential = {"Authorization": f"Bearer {token['access_token']}"}

            def both(ours: str, theirs: str, method: str = "GET", requests: int = REQUESTS) -> tuple[Measured, Measured]:
                assert api is not None and api.process is not None and bare is not None
                best: list[Measured | None] = [None, None]
                for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets both
                    for place, (pid, port, path) in enumerate(
                        ((api.process.pid, api.port, ours), (bare.pid, bare_port, theirs))
                    ):
                        found = measure(pid, port, _lines(method, path, credential, requests), requests)
                        kept = best[place]
                        best[place] = found if kept is None or found.cpu < kept.cpu else kept
                assert best[0] and best[1]
                return best[0], best[1]

            one, fifty = f"/api/v1/projects/{project}", f"/api/v1/documents?limit=50&project_id={project}"
            print("\nRequests (the best of five rounds each, in turn; the server on a core of its own)")
            read = both(one, one)
            _show("read one project by id, token", *read, at_least=0.5)
            _show("create a project, token", *both("/api/v1/projects", "/api/v1/projects", "POST"), at_least=0.5)
            _show("list 50 documents by keyset, token", *both(fifty, fifty, requests=1_500), at_least=1.0)
            credential = key
            _show("read one project by id, API key", *both(one, one))
            edge = both("/health", "/nothing")
            bound = both("/health", f"/bound/{project}")[1]
            extra = read[0].cpu - read[1].cpu
            begin, around = bound.cpu - read[1].cpu, edge[0].cpu - edge[1].cpu
            print(f"  Of {extra:.0f} us that a read costs more than the bare one:")
            print(f"    {begin:6.0f} us  BEGIN with the tenant, and COMMIT (the bare app, doing that as well)")
            print(f"    {around:6.0f} us  the edge: ids and trace, the log line, headers, hosts, limits, deadline")
            print(f"    {extra - begin - around:6.0f} us  the rest: credential and limit, less what PostgreSQL's JSON saves")
        finally:
            if api is not None:
                api.stop()
            stop(bare)
            vault.stop()
            postgres.stop()


def _lines(method: str, path: str, headers: dict[str, str], requests: int) -> list[dict[str, Any]]:
    if method == "GET":
        return [{"method": method, "path": path, "headers": headers}]
    return [
        {
            "method": method,
            "path": path,
            "headers": headers,
            "body": {"slug": f"made-{next(_slugs)}", "name": "Made", "metadata": {"a": 1}},
        }
        for _ in range(requests)
    ]


def _show(name: str, ours: Measured, theirs: Measured, at_least: float | None = None) -> None:
    ratio = theirs.cpu / ours.cpu
    promise = "" if at_least is None else f"  (at least {at_least:g}x: {'yes' if ratio >= at_least else 'NO'})"
    print(
        f"  {name:<38}{ours.cpu:7.0f} us CPU, {ours.rate:6.0f}/s   bare {theirs.cpu:6.0f} us, {theirs.rate:6.0f}/s   "
        f"CPU {ratio:.2f}x, requests {ours.rate / theirs.rate:.2f}x{promise}"
    )


if __name__ == "__main__":
    main()
