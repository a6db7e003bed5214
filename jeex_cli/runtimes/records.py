"""What the embedded runtime writes down about each service it starts, under `.jeex/run/`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from jeex_cli import proc
from jeex_cli.proc import Exit, Process
from jeex_cli.project import Project, write_private


@dataclass(frozen=True, slots=True)
class Started:
    """How a service was started: `digest` of its launch (see Launch), the port it listens on, the program's kind."""

    digest: str = ""
    port: int | None = None
    program: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One service's files: `<name>.pid`, `<name>.exit`, `<name>.started`."""

    project: Project
    name: str

    @property
    def pid_file(self) -> Path:
        """Written by the service itself before its program starts."""
        return self.project.run / f"{self.name}.pid"

    @property
    def exit_file(self) -> Path:
        """Written when its process has ended."""
        return self.project.run / f"{self.name}.exit"

    @property
    def log_file(self) -> Path:
        """Its output."""
        return self.project.logs / f"{self.name}.log"

    @property
    def _started_file(self) -> Path:
        return self.project.run / f"{self.name}.started"

    def process(self) -> Process | None:
        """The process last started, whether it still runs or not."""
        return proc.read_record(self.pid_file)

    def running(self) -> Process | None:
        """The process, if it runs."""
        process = self.process()
        return process if process is not None and process.alive else None

    def exit(self) -> Exit | None:
        """How it ended."""
        return proc.read_exit(self.exit_file)

    def started(self) -> Started:
        """How it was started; nothing where that is not known."""
        try:
            document = json.loads(self._started_file.read_text())
            return Started(str(document["digest"]), document["port"], str(document["program"]))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return Started()  # not known: `up` restarts the service, which is always right

    def write_started(self, started: Started) -> None:
        """Written before the process starts, so that a record of a process always has one."""
        write_private(self._started_file, json.dumps(asdict(started)))

    def forget(self) -> None:
        """The service has been stopped on purpose."""
        for path in (self.pid_file, self.exit_file, self._started_file):
            path.unlink(missing_ok=True)


def all_records(project: Project) -> list[Record]:
    """Every service that was started and not stopped, those that the stack no longer names among them."""
    return [Record(project, path.stem) for path in sorted(project.run.glob("*.pid"))]


def tidy(project: Project) -> None:
    """Remove what only running services need, their settings with passwords in them first of all."""
    shutil.rmtree(project.run, ignore_errors=True)
