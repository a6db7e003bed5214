"""How long `jeex doctor` takes on a healthy stack, against `jeex status`, which asks each server one question."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jeex_cli.checks import CHECKS
from tests.bench.timing import Row, clean_env, command, show
from tests.e2e.conftest import JEEX, kill_leftovers, make_cli


def main() -> None:
    """Print seconds and ratio, for all checks and for those that `up` asks."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        cli = make_cli(Path(folder))
        env = clean_env(cli.home, **{name: value for name, value in cli.env.items() if name.startswith("JEEX_")})
        try:
            cli.run("up")
            assert cli.json("doctor")["summary"]["fail"] == 0  # else it is no healthy stack that is measured

            def seconds(*arguments: str) -> float:
                return command([str(JEEX), *arguments], env=env, cwd=cli.folder, runs=9)

            status = seconds("status")
            early = ",".join(check.id for check in CHECKS if check.before_up)
            show(
                f"Doctor, {len(CHECKS)} checks on a healthy stack (medians of 9 runs; bare: jeex status)",
                [
                    Row("jeex doctor", seconds("doctor"), status, 20),
                    Row("those that up asks", seconds("doctor", "--only", early), status, 4),
                ],
            )
            cli.run("down")
        finally:
            kill_leftovers(cli)
