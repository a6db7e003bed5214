"""A tenant of 100,000 documents into a file and out of it, beside psql's COPY of the same rows; memory beside 10,000."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from migrations import revisions, runner
from service.adapters.database import Database
from service.core.settings import Secret
from service.services import tenant_transfer
from service.services.tenant_contents import Contents
from service.services.tenant_file import Limits
from service.services.tenant_transfer import Stack
from tests.bench.timing import Row, show
from tests.integration.service.conftest import make_tenant
from tests.integration.service.servers import ROOT, Postgres

MANY, FEW = 100_000, 10_000
_FILL = """
INSERT INTO project (tenant_id, slug, name) VALUES ({t}, 'p', 'P');
INSERT INTO document (tenant_id, project_id, path, title, content)
SELECT {t}, id, 'a/' || n, 'Document ' || n, (SELECT string_agg(md5(n::text || i), E'\\n') FROM generate_series(1, 24) AS i)
  FROM project, generate_series(1, {count}) AS n WHERE tenant_id = {t};
"""


async def work(what: str, url: str, tenant: str, path: str) -> None:
    """One transfer; prints seconds and the process' peak of memory in KiB."""
    import uuid

    stack = Stack("1", "bench", [one.id for one in revisions.history()])
    async with Database(Secret(url), statement_timeout=3600) as database:
        async with database.direct() as driver:  # to connect is not what is measured
            await driver.fetchval("SELECT 1")
        began = time.perf_counter()
        async with database.direct(uuid.UUID(tenant)) as driver:
            if what == "export":
                with Path(path).open("wb") as target:  # noqa: ASYNC230
                    await tenant_transfer.export(driver, uuid.UUID(tenant), target, stack, lambda *_: None)
            else:
                with Path(path).open("rb") as source:  # noqa: ASYNC230
                    contents = Contents(source, None, Limits())
                    slug = f"copy-{os.getpid()}"
                    await tenant_transfer.load(driver, contents, stack, lambda *_: None, slug=slug, new_ids=True)
        print(time.perf_counter() - began, peak())


def peak() -> int:
    """The most memory this process had, in KiB. Not ru_maxrss: that begins with what its parent had when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def apart(what: str, url: str, tenant: str, path: Path) -> tuple[float, float]:
    """Seconds and MiB, of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.tenant_export", what, url, tenant, str(path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    seconds, kib = done.stdout.split()
    return float(seconds), int(kib) / 1024


def by_hand(postgres: Postgres, tenant: str) -> float:
    """psql's COPY of the documents, into nothing."""
    began = time.perf_counter()
    done = postgres.psql(
        *("-o", os.devnull, "-c"),
        f"SET app.tenant_id = '{tenant}'; COPY (SELECT * FROM document WHERE tenant_id = '{tenant}') TO STDOUT",  # noqa: S608
        user="jeex_admin",
        database="jeex",
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "postgres")
        postgres.create()
        postgres.start()
        try:
            postgres.bootstrap()
            runner.upgrade(postgres.url("owner"))
            found = {}
            for count in (FEW, MANY):
                tenant = str(make_tenant(postgres.url("admin"), f"t{count}").tenant.id)
                filling = _FILL.format(count=count, t=f"'{tenant}'")
                postgres.sql(f"SET app.tenant_id = '{tenant}'; {filling}", user="jeex_admin", database="jeex")
                file = Path(folder) / f"{count}.tenant"
                bare = min(by_hand(postgres, tenant) for _ in range(3))
                out = min(apart("export", postgres.url("admin"), tenant, file) for _ in range(3))
                into = apart("import", postgres.url("admin"), tenant, file)
                found[count] = (bare, out, into, file.stat().st_size)
        finally:
            postgres.stop()
    bare, out, into, size = found[MANY]
    show(
        f"A tenant of {MANY} documents ({size / 1024**2:.0f} MiB packed), beside psql's COPY",
        [
            Row("export", out[0], bare),
            Row("import, checked and with new ids", into[0], bare),
        ],
    )
    print(f"  export {MANY / out[0]:,.0f} rows/s, psql {MANY / bare:,.0f}, import {MANY / into[0]:,.0f}")
    for name, place in (("export", 1), ("import", 2)):
        few, many = found[FEW][place][1], found[MANY][place][1]
        print(f"  peak memory of the {name}: {few:.0f} MiB at {FEW}, {many:.0f} MiB at {MANY}: {many / few:.2f}x")


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:5]))
