"""Looks at the project's folders. Where this user may not look the facts say so: a file left by sudo is no surprise."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from jeex_cli.checks.folders import Folders
from jeex_cli.errors import JeexError
from jeex_cli.project import Project, not_writable
from jeex_cli.runtimes.programs.base import in_namespace
from jeex_cli.session import Session

_SHOWN = 5  # paths of another owner that are named
_SERVERS = ("postgres", "redis")


def look(session: Session) -> Folders:
    """The facts of checks/folders.py."""
    project = session.project
    closed = tuple(
        one
        for one in (project.folder, project.data, project.run, project.logs)
        if _is_folder(one) and not _may(one, os.R_OK)
    )
    embedded = _embedded(session)
    owner, foreign = _foreign(project, embedded=embedded is True)
    logs = {path: path.stat().st_size for path in project.logs.glob("*") if path.is_file()} if not closed else {}
    return Folders(
        root=project.root,
        closed=closed,
        wrong=tuple(_wrong(project)) if not closed else (),
        gone=None if embedded is None or closed else tuple(_gone(project)) if embedded else (),
        owner=owner,
        foreign=tuple(foreign),
        may_chown=os.geteuid() == 0,
        open=tuple(_open(project)) if not closed else (),
        not_writable=_not_writable(project),
        logs=sum(logs.values()) if not closed else None,
        largest_log=max(logs, key=lambda one: logs[one], default=None),
        set_aside=tuple(sorted(path for path in logs if re.search(r"\.log\.\d+$", path.name))),
    )


def _embedded(session: Session) -> bool | None:
    """Whether the stack runs without Docker; None where this user may not read the files that say so."""
    try:
        return session.choice.name == "embedded"
    except JeexError:
        project = session.project
        if all(
            _may(path, os.R_OK) for path in (project.folder, project.env_file, project.state_file) if os.path.lexists(path)
        ):
            raise  # what is wrong with them is a finding of its own
        return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # in a folder that is closed itself


def _may(path: Path, wish: int) -> bool:
    return os.access(path, wish | os.X_OK if _is_folder(path) else wish)


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
    if not _is_folder(folder):
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
    # Each with a file that jeex or a server would write there.
    files = (project.lock_file, project.data / "postgres", project.run / "postgres.pid", project.logs / "postgres.log")
    there = [one for one in files if _is_folder(one.parent)]
    for file in there or [project.folder]:
        if not os.access(file.parent, os.W_OK | os.X_OK):
            read_only = os.statvfs(file.parent).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            return not_writable(file, OSError(number, os.strerror(number)))
    return None
