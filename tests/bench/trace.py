"""`jeex trace` and `jeex logs` over a million lines, against `grep -c` of the same file."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.timing import Row, clean_env, command, show
from tests.e2e.conftest import JEEX, make_cli

_LINES = 1_000_000
_RUNS = 5


def write(log: Path) -> str:
    """A log as the API writes it; the request id in the middle of it."""
    wanted = ""
    with log.open("w") as file:
        for number in range(_LINES):
            trace, request = f"{number * 7919:032x}", f"{number * 104_729:032x}"
            if number == _LINES // 2:
                wanted = request
            line = {
                "timestamp": f"2026-11-24T{number // 3_600_000:02}:{number // 60_000 % 60:02}:{number // 1000 % 60:02}"
                f".{number % 1000:03}000Z",
                **{"level": "info", "process": "api", "event": "http.request", "request_id": request, "trace_id": trace},
                **{"method": "GET", "path": "/api/v1/projects", "status": 200, "ms": 3.25, "tenant": "acme"},
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
    return wanted


def main() -> None:
    """Print the ratios, and the commands that start-up is part of."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder:
        cli = make_cli(Path(folder))
        log = cli.folder / ".jeex" / "logs" / "api.log"
        log.parent.mkdir(parents=True, mode=0o700)
        wanted = write(log)
        env = clean_env(cli.home, **{name: value for name, value in cli.env.items() if name.startswith("JEEX_")})

        def seconds(*argv: str) -> float:
            return command(argv, env=env, cwd=cli.folder, runs=_RUNS)

        grep = seconds("grep", "-c", wanted, str(log))
        floor = seconds(sys.executable, "-c", "pass")
        size = log.stat().st_size // 1024**2
        show(
            f"A million log lines, {size} MiB (medians of {_RUNS} runs; bare: grep -c)",
            [
                Row("jeex trace REQUEST (two searches)", seconds(str(JEEX), "trace", wanted), grep),
                Row("jeex logs --tail 100", seconds(str(JEEX), "logs", "--tail", "100"), grep),
                Row(
                    "jeex logs --search, the last 10 of all",
                    seconds(str(JEEX), "logs", "-n", "10", "--search", "acme"),
                    grep,
                ),
                Row("python -c pass", floor, grep),
            ],
        )
