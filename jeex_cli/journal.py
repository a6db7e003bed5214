"""jeex' own log: what each command was, how it went and how long it took; one JSON object a line in `.jeex/logs/cli.log`.

Of arguments it has the names; values only where they cannot be secret. A line never costs a command its success: where it
cannot be written (a full disk, a folder of somebody else's) there is none.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jeex_cli.errors import JeexError

FILE = "cli.log"
_LIMIT = 1024 * 1024  # bytes; one such is kept beside it
# Options and arguments whose values are words of jeex' own, services or numbers; numbers and switches are shown anyway.
_SHOWN = ("services", "runtime", "profiles", "since", "until", "level", "only", "target", "revision")


class Journal:
    """What is known of the command that runs; its line has a trace id of its own, which is that of what it asks."""

    def __init__(self) -> None:
        self.trace_id = os.urandom(16).hex()
        self._began = time.perf_counter()
        self._folder: Path | None = None  # where its line goes, once there is a project
        self._command = "jeex"
        self._flags: dict[str, object] = {}

    def runs(self, command: str, given: Mapping[str, object], logs: Path) -> None:
        """That command was understood; its line goes into the folder `logs`."""
        self._command, self._folder = command, logs
        self._flags = {
            name: value
            if isinstance(value, bool | int | float) or (name in _SHOWN and isinstance(value, str | list | tuple))
            else "***"
            for name, value in given.items()
        }

    def ended(self, exit_code: int, error: JeexError | None = None) -> None:
        """The command is over: write its line, if its project has anything of jeex'."""
        if self._folder is None or not self._folder.parent.is_dir():
            return
        line: dict[str, object] = {
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "level": "error" if exit_code not in (0, 130) else "info",
            "process": "cli",
            "event": self._command,
            "flags": self._flags,
            "exit": exit_code,
            "ms": round((time.perf_counter() - self._began) * 1000, 2),
            "trace_id": self.trace_id,
            "pid": os.getpid(),
        }
        if error is not None:
            from jeex_cli.redaction import redact

            line |= {"code": error.code, "reason": redact(error.message)}
        try:
            _append(self._folder, json.dumps(line).replace("\x7f", "\\u007f") + "\n")
        except OSError:
            return  # as promised above


def _append(folder: Path, line: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size > _LIMIT:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # of two commands one begins it anew
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                path.replace(folder / f"{FILE}.1")
            os.close(descriptor)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(descriptor, line.encode("ascii"))
    finally:
        os.close(descriptor)
