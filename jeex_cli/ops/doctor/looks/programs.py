"""Tries the servers' programs, and looks for processes that nobody knows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jeex_cli import proc
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.programs import Found, Loaded, Namespaces, Processes, Tried
from jeex_cli.errors import JeexError, NotReady, TimedOut
from jeex_cli.project import Project
from jeex_cli.runtimes.programs import openbao, postgres, valkey
from jeex_cli.runtimes.programs.base import account_for, in_namespace
from jeex_cli.runtimes.programs.known import PROGRAMS
from jeex_cli.runtimes.records import Record, all_records
from jeex_cli.session import Session

# Seconds that a program may take to say its version: a moment less than doctor waits, so that one which hangs is ended.
_PATIENCE = 2.46
_POSTGRES = ("initdb", "postgres", "psql")


def look(session: Session) -> Found:
    """What the runtime would refuse, in its own words. PostgreSQL's is a check of its own: its data counts there, too."""
    services = [one for one in session.stack.services if one.program in PROGRAMS]
    for service in services:
        try:
            PROGRAMS[service.program or ""].check(service, session.place)
        except NotReady as error:
            if error.code.startswith("DATA_"):
                continue  # the program is there; postgres-version has the rest
            return Found(error, len(services))
    return Found(None, len(services))


def look_at_loading(session: Session) -> Loaded:
    """Every program asked for its version, all at once."""
    found = _paths(session)
    if not found:
        raise CannotLook("none of the servers' programs is here")
    with ThreadPoolExecutor(len(found)) as threads:
        return Loaded(tuple(threads.map(lambda one: _tried(*one), found.items())))


def look_at_namespaces(session: Session) -> Namespaces:
    """Whether PostgreSQL can be somebody else than root."""
    root = os.geteuid() == 0
    if not root or in_namespace() is not None:
        return Namespaces(root, root, None)
    try:
        account_for(session.project.data / "postgres")
    except NotReady as error:
        return Namespaces(root, False, error)
    return Namespaces(root, False, None)


def look_at_processes(session: Session) -> Processes:
    """Servers that were started for this project, without those that a record knows and their children."""
    import psutil

    _must_read_records(session.project)
    parents: dict[int, int] = {}
    ours: dict[int, str] = {}
    for process in psutil.process_iter(["pid", "ppid", "cmdline"]):
        pid, words = process.info["pid"], process.info["cmdline"] or []
        parents[pid] = process.info["ppid"] or 0
        if words and not proc.is_supervisor(words) and _is_a_server(pid, session.project):
            ours[pid] = " ".join(words)
    # Records after processes: one that another command starts meanwhile is in both, or in the records alone.
    records = all_records(session.project)
    known = {one.pid for record in records if (one := record.running()) is not None}
    lost = {pid: text for pid, text in ours.items() if not _descends(pid, known, parents)}
    # A supervisor ends with its server; of a server's family the eldest stands for all.
    eldest = {pid: text for pid, text in lost.items() if parents.get(pid) not in lost}
    with_start = [(pid, one.start, text) for pid, text in eldest.items() if (one := proc.running(pid)) is not None]
    return Processes(tuple(with_start), tuple(_unreadable(session.project, records)))


def _must_read_records(project: Project) -> None:
    """Raise CannotLook where this user may not: every server would look lost then."""
    for folder in (project.folder, project.run):
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):  # noqa: PTH112 - raises nothing
            raise CannotLook(f"this user cannot look into {folder}")
    for file in (*project.run.glob("*.pid"), *project.run.glob("*.started")):
        if file.exists() and not os.access(file, os.R_OK):
            raise CannotLook(f"this user cannot read {file}")


def _is_a_server(pid: int, project: Project) -> bool:
    """Whether it was started as a service is: it works below .jeex, and what it says goes to a log there.

    A shell in that folder, or a program that reads a log, is somebody's at work and none of ours.
    """
    if not f"{_link(pid, 'cwd')}/".startswith(f"{project.folder}/"):
        return False
    return all(_link(pid, f"fd/{number}").startswith(f"{project.logs}/") for number in (1, 2))


def _unreadable(project: Project, records: list[Record]) -> Iterator[tuple[str, str]]:
    for record in records:
        if record.process() is None:
            yield record.name, str(record.pid_file)
    for file in sorted(project.run.glob("*.started")):
        if not Record(project, file.stem).started().digest and file.exists():
            yield file.stem, str(file)


def _link(pid: int, name: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/{name}").readlink())
    except OSError:
        return ""  # another user's, or it has ended


def _descends(pid: int, known: set[int], parents: dict[int, int]) -> bool:
    seen: set[int] = set()
    while pid > 1 and pid not in seen:
        if pid in known:
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False


def _paths(session: Session) -> dict[str, Path]:
    """The servers' programs by name, those that are there."""
    place, programs = session.place, {one.program for one in session.stack.services}
    found: dict[str, Path] = {}
    paths: dict[str, Callable[[], dict[str, Path]]] = {
        "postgres": lambda: {name: postgres.binaries(place) / name for name in _POSTGRES},
        "valkey": lambda: {"valkey-server": valkey.binary(place)},
        "openbao": lambda: {"bao": openbao.binary(place)},
    }
    for program in paths.keys() & programs:
        try:
            found.update(paths[program or ""]())
        except NotReady:
            continue  # missing: programs-present says it
    return {name: path for name, path in found.items() if path.exists()}


def _tried(name: str, path: Path) -> Tried:
    try:
        ran = proc.run([str(path), "--version"], env={"PATH": os.defpath}, cwd=Path("/"), timeout=_PATIENCE)
    except TimedOut:
        return Tried(name, str(path), False, f"no answer within {_PATIENCE:.1f} s", mute=True)
    except (JeexError, OSError) as error:
        return Tried(name, str(path), False, str(error))
    lines = (ran.stdout if ran.returncode == 0 else ran.stderr or ran.stdout).strip().splitlines()
    return Tried(name, str(path), ran.returncode == 0, lines[0][:200] if lines else f"exit code {ran.returncode}")
