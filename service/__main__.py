"""`python -m service COMMAND`: the platform's processes. Each imports only what it needs.

Exit codes: 0 done, 1 it failed (the log says why), 2 no such command, 3 a setting is missing or wrong.
"""

from __future__ import annotations

import importlib
import os
import sys

COMMANDS = ("api", "frontend", "migrate", "seed", "worker")


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` names; its exit code."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m service {{{'|'.join(COMMANDS)}}}\n")
        return 2
    from service.core.errors import SettingsError

    try:
        return int(importlib.import_module(f"service.commands.{arguments[0]}").run(os.environ))
    except SettingsError as error:
        sys.stderr.write(f"service {arguments[0]}: {error.message}\n")
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
