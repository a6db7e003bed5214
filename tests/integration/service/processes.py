"""The platform's own processes, as the runtimes start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.service.machine import request, stop, until


@dataclass
class Service:
    """`python -m service COMMAND`, with exactly the settings given."""

    command: str
    settings: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-P", "-m", "service", self.command],
                env={"PATH": os.defpath, **self.settings},
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self) -> int:
        """Run to the end; the exit code."""
        self.start()
        assert self.process is not None
        return self.process.wait(60)

    def stop(self) -> int:
        stop(self.process)
        assert self.process is not None
        return int(self.process.returncode)

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait(self, path: str, status: int = 200) -> None:
        """Until `path` answers `status`."""

        def answered() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return self.get(path)[0] == status

        until(answered)

    @property
    def port(self) -> int:
        return int(self.settings["API_PORT" if self.command == "api" else "FRONTEND_PORT"])

    def get(self, path: str, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """GET; underscores in header names become hyphens."""
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, f"http://127.0.0.1:{self.port}{path}", None, names)
