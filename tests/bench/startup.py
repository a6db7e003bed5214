"""How long commands take, against `python -c pass` of the same environment."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.timing import Row, clean_env, command, show
from tests.e2e.conftest import JEEX, kill_leftovers, make_cli


def main() -> None:
    """Print the ratios of `--version`, `--help` and `status` on a running stack."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        cli = make_cli(Path(folder))
        env = clean_env(cli.home, **{name: value for name, value in cli.env.items() if name.startswith("JEEX_")})
        try:
            cli.run("up")

            def seconds(*argv: str) -> float:
                return command(argv, env=env, cwd=cli.folder, runs=25)

            floor = seconds(sys.executable, "-c", "pass")
            show(
                "Start-up (medians of 25 runs; bare: python -c pass)",
                [
                    Row("jeex --version", seconds(str(JEEX), "--version"), floor, 1.6),
                    Row("jeex --help", seconds(str(JEEX), "--help"), floor, 6),
                    Row("jeex status", seconds(str(JEEX), "status"), floor, 15),
                    Row("jeex status --json", seconds(str(JEEX), "status", "--json"), floor, 15),
                ],
            )
            cli.run("down")
        finally:
            kill_leftovers(cli)
