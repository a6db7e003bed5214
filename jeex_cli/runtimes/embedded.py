"""The stack without Docker: the real servers out of pip wheels, as processes of this machine."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli import journal, probe, proc
from jeex_cli.errors import NotReady, TimedOut, Unhealthy
from jeex_cli.events import Report, Step
from jeex_cli.proc import Exit, Process
from jeex_cli.project import private_folder, set_aside
from jeex_cli.runtimes import graph, log_keeper
from jeex_cli.runtimes.base import CLI, ServiceState, Volume
from jeex_cli.runtimes.graph import Cancelled
from jeex_cli.runtimes.programs import openbao
from jeex_cli.runtimes.programs.base import Launch, Place, Program
from jeex_cli.runtimes.programs.known import PROGRAMS
from jeex_cli.runtimes.records import Record, Started, all_records, tidy
from jeex_cli.stack import Service, Stack

if TYPE_CHECKING:  # slow to import, and most commands read no logs
    from jeex_cli.log_entry import Entry
    from jeex_cli.runtimes.asked import Asked
    from jeex_cli.runtimes.log_files import Source

_GRACE = 10.0  # seconds a server gets to end before it is killed
_STARTING = 30.0  # seconds during which a server that does not answer yet counts as starting
_POLL = 0.005
_POLL_SLOWEST = 0.05


@dataclass(frozen=True, slots=True)
class EmbeddedRuntime:
    """Runs every service that names an `x-jeex.program`."""

    place: Place
    programs: Mapping[str, Program] = field(default_factory=lambda: PROGRAMS)
    name: str = "embedded"

    def check(self, stack: Stack, names: Collection[str]) -> None:
        """See Runtime. Ports are a check of their own: doctor asks for them too."""
        from jeex_cli.checks.disks import NEEDED_SPACE, disk_full

        folder = private_folder(self.place.project.folder)
        if error := disk_full(shutil.disk_usage(folder).free, NEEDED_SPACE, folder):
            raise error
        log_keeper.limit(self.place.settings)
        for name in names:
            if stack.service(name).program is None:
                raise NotReady(
                    f"{stack.service(name).title} runs in Docker only: there is no program for it here",
                    code="NEEDS_DOCKER",
                    hint=f"docker compose up {name}; or leave {name} out",
                )
        for service in self._served(stack, names):
            self._program(service).check(service, self.place)

    def obtain(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """See Runtime: `check` has seen that everything is here."""

    def left_out(self, stack: Stack) -> list[str]:
        """See Runtime."""
        return [service.title for service in stack.services if service.program is None]

    def start(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """See Runtime."""
        for folder in (self.place.project.run, self.place.project.logs, self.place.project.data):
            private_folder(folder)
        log_keeper.ensure(self.place.project, self.place.settings)
        services = {service.name: service for service in self._served(stack, names)}
        deadline = time.monotonic() + timeout

        def work(name: str, cancelled: threading.Event) -> None:
            self._bring_up(services[name], report, _Patience(deadline, cancelled))

        try:
            graph.run({name: tuple(service.needs) for name, service in services.items()}, work)
        finally:
            if not all_records(self.place.project):
                log_keeper.end(self.place.project)

    def stop(self, stack: Stack, names: Collection[str], report: Report) -> None:
        """See Runtime. Dependents end before what they depend on."""
        known = {service.name: service for service in stack.services}
        chosen = [record for record in all_records(self.place.project) if not names or record.name in names]
        dependents: dict[str, list[str]] = {record.name: [] for record in chosen}
        for service in known.values():
            for other in service.needs:
                if other in dependents and service.name in dependents:
                    dependents[other].append(service.name)

        def work(name: str, _cancelled: threading.Event) -> None:
            self._take_down(Record(self.place.project, name), known.get(name), report)

        graph.run(dependents, work)
        if not all_records(self.place.project):
            log_keeper.end(self.place.project)
            tidy(self.place.project)

    def volumes(self, stack: Stack) -> list[Volume]:
        """See Runtime."""
        known = {service.name for service in stack.services}
        folders = sorted(one for one in self.place.project.data.glob("*") if one.is_dir() and one.name in known)
        return [Volume(str(one), one.name, _size(one), one.stat().st_mtime) for one in folders]

    def delete_data(self, stack: Stack) -> None:
        """See Runtime."""
        for folder in (self.place.project.data, self.place.project.run):
            if folder.exists():
                shutil.rmtree(folder)

    def states(self, stack: Stack) -> list[ServiceState]:
        """See Runtime."""
        return [self._state(service) for service in self._served(stack, ())]

    def entries(self, stack: Stack, names: Collection[str], asked: Asked, *, follow: bool) -> Iterator[Entry]:
        """See Runtime."""
        from jeex_cli.runtimes import log_files

        sources = self._sources(stack, names)
        return log_files.follow(sources, asked) if follow else log_files.read(sources, asked)

    def mentions(self, stack: Stack, text: str) -> Iterator[Entry]:
        """See Runtime."""
        from jeex_cli.runtimes import log_files

        for source in self._sources(stack, (CLI, *(one.name for one in self._served(stack, ())))):
            yield from log_files.mentions(source, text)

    def taken_ports(self, stack: Stack, names: Collection[str]) -> dict[str, int]:
        """See Runtime."""
        taken = {}
        for service in self._served(stack, names):
            record = Record(self.place.project, service.name)
            ours = record.running() is not None and record.started().port == service.host_port
            if service.host_port is not None and not ours and not probe.is_free(service.host_port):
                taken[service.name] = service.host_port
        return taken

    # ------------------------------------------------------------------ one service

    def _bring_up(self, service: Service, report: Report, patience: _Patience) -> None:
        record, program = Record(self.place.project, service.name), self._program(service)
        began = time.monotonic()
        running = record.running()
        launch = program.prepare(service, self.place)
        if running is not None and record.started().digest != launch.digest:
            report(Step(service.name, f"{service.title} has new settings", "running"))
            self._end(running, record, service)
            running = None
        report(Step(service.name, service.title, "running"))
        try:
            if running is None:
                program.clear(service, self.place)
                running = self._launch(service, record, launch, patience)
                status = "done"
            else:
                status = "done" if service.one_shot else "kept"
            if service.one_shot:
                self._await_end(service, record, running, patience)
            else:
                self._await_ready(service, record, running, patience)
                program.settle(service, self.place)
        except (Unhealthy, TimedOut, NotReady) as error:
            report(Step(service.name, service.title, "failed", time.monotonic() - began, error.message))
            raise
        report(Step(service.name, service.title, "kept" if status == "kept" else "done", time.monotonic() - began))

    def _launch(self, service: Service, record: Record, launch: Launch, patience: _Patience) -> Process:
        record.write_started(Started(launch.digest, service.host_port, service.program or ""))
        set_aside(record.log_file)
        proc.spawn(
            launch.argv,
            record=record.pid_file,
            ended=record.exit_file,
            log=record.log_file,
            cwd=launch.cwd,
            env=launch.env,
        )
        while (process := record.process()) is None:
            patience.pause(service)
        return process

    def _await_ready(self, service: Service, record: Record, process: Process, patience: _Patience) -> None:
        if service.probe is None or service.host_port is None:
            return
        while True:
            # Alive first: an answer on the port is only ours if our process was there to give it.
            alive = process.alive
            answer = probe.ask(service.probe, service.host_port)
            if alive and answer.ready:
                return
            if not alive:
                ended = _exit_of(record)
                raise Unhealthy(
                    f"{service.title} did not start: {ended.reason if ended else 'it ended'}",
                    detail=_last_lines(record.log_file),
                    hint=f"jeex logs {service.name}",
                )
            patience.pause(service, answer.detail)

    def _await_end(self, service: Service, record: Record, process: Process, patience: _Patience) -> None:
        while process.alive:
            patience.pause(service)
        ended = _exit_of(record)
        if ended is None:
            raise Unhealthy(f"{service.title} ended without a trace", hint=f"jeex logs {service.name}")
        if ended.code:
            raise Unhealthy(
                f"{service.title} failed: {ended.reason}",
                detail=_last_lines(record.log_file),
                hint=f"jeex logs {service.name}",
            )

    def _take_down(self, record: Record, service: Service | None, report: Report) -> None:
        began = time.monotonic()
        process = record.running()
        title = service.title if service else record.name
        if process is not None:
            report(Step(record.name, title, "running"))
            self._end(process, record, service)
            report(Step(record.name, title, "done", time.monotonic() - began))
        record.forget()

    def _end(self, process: Process, record: Record, service: Service | None) -> None:
        started = record.started()
        program = self.programs.get(started.program)
        if service is None or program is None:
            process.signal(signal.SIGTERM)
        else:
            # The port it was started with: another server may listen on the one that the settings name now.
            program.stop(process, replace(service, host_port=started.port), self.place)
        if not process.wait(_GRACE):
            process.signal(signal.SIGKILL)
            process.wait(_GRACE)
        _exit_of(record)

    def _state(self, service: Service) -> ServiceState:
        record = Record(self.place.project, service.name)
        process, ended, started = record.process(), record.exit(), record.started()
        port = started.port or service.host_port

        def state(status: str, *, since: float | None = None, detail: str = "", pid: int | None = None) -> ServiceState:
            return ServiceState(service.name, service.title, status, pid, since, port, service.address, detail)  # type: ignore[arg-type]

        if process is None:
            return state("stopped")
        if process.alive:
            since = process.started_at
            answer = probe.ask(service.probe, port) if service.probe and port else probe.Answer(True)
            if answer.ready and not service.one_shot:
                return state("running", since=since, pid=process.pid)
            young = service.one_shot or time.time() - since < _STARTING
            return state("starting" if young else "unhealthy", since=since, pid=process.pid, detail=answer.detail)
        if ended is not None:
            if service.one_shot:
                return state(
                    "failed" if ended.code else "completed", since=ended.at, detail=ended.reason if ended.code else ""
                )
            return state("crashed", since=ended.at, detail=ended.reason)
        return state("crashed", detail="ended while nothing could note when (a reboot, or its supervisor was killed)")

    # ------------------------------------------------------------------ helpers

    def _served(self, stack: Stack, names: Collection[str]) -> list[Service]:
        chosen = {stack.service(name).name for name in names}
        return [
            service for service in stack.services if service.program is not None and (not names or service.name in chosen)
        ]

    def _sources(self, stack: Stack, names: Collection[str]) -> list[Source]:
        """Their logs, all services' where none is named; of Vault its audit log too."""
        from jeex_cli.runtimes.log_files import Source

        logs = self.place.project.logs
        services = self._served(stack, [one for one in names if one != CLI]) if set(names) != {CLI} else []
        found = [Source(one.name, Record(self.place.project, one.name).log_file) for one in services]
        found += [Source(one.name, logs / openbao.AUDIT) for one in services if one.program == "openbao"]
        return found + ([Source(CLI, logs / journal.FILE)] if CLI in names else [])

    def _program(self, service: Service) -> Program:
        program = self.programs.get(service.program or "")
        if program is None:
            raise NotReady(
                f"service {service.name}: x-jeex.program {service.program!r} is none of {', '.join(sorted(self.programs))}",
                code="CONFIG_INVALID",
                hint="correct it in compose.yaml",
            )
        return program


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long to go on waiting."""

    deadline: float
    cancelled: threading.Event
    began: float = field(default_factory=time.monotonic)

    def pause(self, service: Service, detail: str = "") -> None:
        """Wait a moment. Raises Cancelled when the operation is over, TimedOut when its time is up."""
        if self.cancelled.is_set():
            raise Cancelled
        now = time.monotonic()
        if now > self.deadline:
            raise TimedOut(
                f"{service.title} was not ready in time",
                detail=detail,
                hint=f"jeex logs {service.name}; more time: jeex up --timeout 300",
            )
        # Asking takes from the server the time that it needs to start: the longer it takes, the more rarely it is asked.
        time.sleep(min(max(_POLL, (now - self.began) / 50), _POLL_SLOWEST))


def _size(folder: Path) -> int:
    """Bytes on the disk."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:
            continue  # a server at work
    return total


def _exit_of(record: Record) -> Exit | None:
    """How it ended; its supervisor needs a moment to write that down."""
    deadline = time.monotonic() + 1
    while (ended := record.exit()) is None and time.monotonic() < deadline:
        time.sleep(_POLL)
    return ended


def _last_lines(log: Path, count: int = 8) -> str:
    """The end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])
