"""The entry point. `--version` and `--help` answer before anything is imported that they do not need."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run jeex with this process's arguments; returns the exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from jeex_cli import __version__

        sys.stdout.write(f"jeex {__version__}\n")
        return 0
    if arguments in ([], ["--help"], ["-h"], ["help"]) and "_JEEX_COMPLETE" not in os.environ:
        from jeex_cli.help import overview

        sys.stdout.write(overview())
        return 0
    try:
        from jeex_cli.cli import run

        return run(arguments)
    except KeyboardInterrupt:  # before there is anybody who says so: nothing was done yet
        return 130


if __name__ == "__main__":
    sys.exit(main())
