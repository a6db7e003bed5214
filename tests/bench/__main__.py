"""Every measurement of the project, side by side with the bare thing: `make bench`, or `make bench ARGS=startup`."""

from __future__ import annotations

import importlib
import sys

SUBJECTS = (
    *("startup", "doctor", "stack", "api", "trace", "growth", "rotation", "image", "compose", "queue", "cache"),
    *("migrate", "snapshot", "tenant_export"),
)


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in SUBJECTS]
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}\n")
        return 2
    for name in chosen or SUBJECTS:
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
