"""The commands, as data: what `jeex --help` prints and where each command's code is.

Kept apart from Typer so that help and `--version` answer without importing it.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from jeex_cli import __version__


@dataclass(frozen=True, slots=True)
class Command:
    """`module` is imported when the command runs, and not before."""

    name: str
    module: str
    summary: str
    example: str


GROUPS: tuple[tuple[str, tuple[Command, ...]], ...] = (
    (
        "Run the stack",
        (
            Command("up", "up", "start what is not running, wait until healthy", "jeex up"),
            Command("down", "down", "stop everything; data stays", "jeex down"),
            Command("restart", "restart", "stop and start, all or some services", "jeex restart api"),
            Command("wait", "wait", "return once services are healthy", "jeex wait api"),
        ),
    ),
    (
        "Look at it",
        (
            Command("status", "status", "every service: state, since when, URL", "jeex status --json"),
            Command("health", "health", "connect to every service for real", "jeex health"),
            Command("doctor", "doctor", "find what is wrong, explain it, repair it", "jeex doctor --fix"),
            Command("logs", "logs", "merged logs of all or some services", "jeex logs -f api"),
            Command("trace", "trace", "one request through every service", "jeex trace 4bf92f35"),
        ),
    ),
    (
        "Work with it",
        (
            Command("db", "db", "migrate, status, check, rollback, seed, shell", "jeex db migrate"),
            Command("tenant", "tenant", "create, list, use, export, clone, verify, key", "jeex tenant list"),
            Command("jobs", "jobs", "list, show, retry, cancel, dead", "jeex jobs dead"),
            Command("secrets", "secrets", "list, get, set, delete, rotate, status, oauth", "jeex secrets status"),
            Command("ports", "ports", "list: who has which; free, reset", "jeex ports free 5220"),
            Command("snapshot", "snapshot", "save, list, show, restore, export, import", "jeex snapshot save"),
            Command("undo", "undo", "back to before what was destroyed last", "jeex undo"),
            Command("volume", "volume", "list: the data, its size, what is wrong", "jeex volume list"),
        ),
    ),
    (
        "Settings",
        (
            Command("runtime", "runtime", "with Docker or without: show, switch", "jeex runtime show"),
            Command("config", "config", "every setting and where it came from", "jeex config show"),
            Command("version", "version", "versions of jeex and its programs", "jeex version"),
        ),
    ),
)

COMMANDS: tuple[Command, ...] = tuple(command for _, group in GROUPS for command in group)


# Of 80 columns, what the names and the summaries have; the longest example has the rest.
_NAME, _SUMMARY = 10, 47


def _entry(command: Command) -> list[str]:
    """The lines of one command: a summary that is too long for its column goes on below, word by word."""
    first, *more = textwrap.wrap(command.summary, _SUMMARY - 2)
    return [f"  {command.name:<{_NAME}}{first:<{_SUMMARY}}{command.example}", *(" " * (2 + _NAME) + line for line in more)]


def overview() -> str:
    """What `jeex --help` prints; fits 80 columns."""
    lines = [
        f"jeex {__version__}: one command brings up the whole platform",
        "",
        "Usage: jeex [--project DIR] COMMAND [OPTIONS]",
    ]
    for title, group in GROUPS:
        lines += ["", title]
        for command in group:
            lines += _entry(command)
    lines += [
        "",
        "Every command: --json, --quiet, --debug; its own help: jeex COMMAND --help",
        "Every flag is also a JEEX_ variable: --timeout 60 is JEEX_TIMEOUT=60",
        "Completion for your shell: jeex --install-completion",
        "",
    ]
    return "\n".join(lines)
