"""`jeex db migrate` with nothing to do against `alembic current`, which only says where the schema stands; and what a look
at the whole schema and demo data cost."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from jeex_cli import dotenv
from tests.bench.timing import Row, clean_env, command, show
from tests.docker.stack import ROOT
from tests.e2e.conftest import JEEX, kill_leftovers, make_cli

_DOCUMENTS = 20_000


def main() -> None:
    """Print the ratios, on a PostgreSQL of its own."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        cli = make_cli(Path(folder))
        env = clean_env(cli.home, **{name: value for name, value in cli.env.items() if name.startswith("JEEX_")})
        try:
            cli.run("up", "postgres")
            cli.run("db", "migrate")
            password = dotenv.parse((cli.folder / ".env").read_text(), source=".env", environ={})["JEEX_DB_OWNER_PASSWORD"]
            port = cli.ports["POSTGRES"]
            bare = {**env, "DATABASE_OWNER_URL": f"postgresql://jeex_owner:{password}@127.0.0.1:{port}/jeex"}
            alembic = str(Path(sys.executable).with_name("alembic"))

            def seconds(*arguments: str) -> float:
                return command([str(JEEX), *arguments], env=env, cwd=cli.folder, runs=9)

            current = command(
                [alembic, "-c", str(ROOT / "migrations" / "alembic.ini"), "current"], env=bare, cwd=ROOT, runs=9
            )
            show(
                "Migrations with nothing to do (medians of 9 runs; bare: alembic current)",
                [
                    Row("jeex db migrate", seconds("db", "migrate"), current, 1.5),
                    Row("jeex db status", seconds("db", "status"), current, 1.5),
                    Row("jeex db check", seconds("db", "check"), current),
                ],
            )
            began = time.perf_counter()
            cli.run("db", "seed", "--tenants", "1", "--documents", str(_DOCUMENTS))
            took = time.perf_counter() - began
            print(f"  jeex db seed: {_DOCUMENTS:,} documents in {took:.1f} s, {_DOCUMENTS / took:,.0f} a second")
            cli.run("down")
        finally:
            kill_leftovers(cli)
