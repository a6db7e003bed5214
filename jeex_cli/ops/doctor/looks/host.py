"""Looks at the machine. What the environment says is the session's, not this process's."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from jeex_cli.checks.host import Host, Limits, Names
from jeex_cli.project import Project
from jeex_cli.session import Session

_AHEAD = 60.0  # seconds; as checks/host.py explains
_UNLIMITED = 2**60  # bytes: how cgroups of version 1 write that there is no limit
_MANY = 16_384  # processes and threads; a desktop has a few thousand
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what Python sets LC_CTYPE to where it finds nothing it can use
_LC_CTYPE_MASK, _CODESET = 1, 14  # of locale.h and langinfo.h, in glibc and musl
_LOCAL = ("127.0.0.1", "localhost")
_ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")


def look(session: Session) -> Host:
    """The facts of checks/host.py."""
    import psutil

    swap = psutil.swap_memory()
    tmp = session.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - where programs look
    problem, free = _tmp(Path(tmp))
    proxies, uncovered = _proxies(session)
    locale, charset = _wrong_locale(session)
    return Host(
        memory=psutil.virtual_memory().available,
        limit=_group_limit(),
        swap=swap.total,
        swap_free=swap.free,
        ahead=_ahead(session.project),
        zone=_unknown_zone(session.environ.get("TZ", "")),
        locale=locale,
        charset=charset,
        proxies=proxies,
        uncovered=uncovered,
        tmp=tmp,
        tmp_problem=problem,
        tmp_free=free,
    )


def look_at_limits(_session: Session) -> Limits:
    """What a process may have. In no time: `up` waits for it."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(2**31 if files == resource.RLIM_INFINITY else files, _processes_left())


def look_at_names(_session: Session) -> Names:
    """What localhost is."""
    return Names(tuple(_addresses("localhost")))


def _processes_left() -> int | None:
    """As the kernel counts them, by real user id and with threads. Root has no limit; nobody comes near a high one."""
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or most == resource.RLIM_INFINITY or most > _MANY:
        return None
    used = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == os.getuid():
                used += len(list((folder / "task").iterdir()))
        except OSError:
            continue  # it has ended
    return most - used


def _group_limit() -> int | None:
    """Bytes that this process's control group still leaves; None where it has no limit. Pages of files are no use."""
    for folder, limit, used, cache in _groups():
        try:
            most = (folder / limit).read_text().strip()
            if most == "max" or int(most) > _UNLIMITED:
                continue
            counted = int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue  # not mounted here: what cannot be seen is no limit
        return max(0, int(most) - counted + int(stat.get(cache, 0)))
    return None


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Folders of the group, innermost first, with the names of its files in version 2 and in version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        two = number == "0" and not controllers
        if not two and "memory" not in controllers.split(","):
            continue
        top = Path("/sys/fs/cgroup") if two else Path("/sys/fs/cgroup/memory")
        files = (
            ("memory.max", "memory.current", "inactive_file")
            if two
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(top):
                yield folder, *files


def _ahead(project: Project) -> tuple[str, float] | None:
    """The file of the project's, or of jeex itself, that is farthest in the future, if one is by more than a moment."""
    now = time.time()
    found: dict[str, float] = {}
    files = [project.env_file]
    for folder in (project.folder, project.run, project.logs, project.data, Path(__file__).parents[3]):
        try:
            files.extend(folder.iterdir())
        except OSError:
            continue  # there is none yet, or it is somebody else's
    for path in files:
        try:
            found[str(path)] = path.lstat().st_mtime - now
        except OSError:
            continue  # gone meanwhile
    newest = max(found, key=lambda one: found[one], default=None)
    return (newest, found[newest]) if newest is not None and found[newest] > _AHEAD else None


def _unknown_zone(name: str) -> str:
    """`name` if it is a time zone's and this machine does not know it. `UTC0` and `CET-1CEST` need no file."""
    plain = name.removeprefix(":")
    if not plain or plain in ("UTC", "GMT") or any(character.isdigit() for character in plain):
        return ""
    if plain.startswith("/"):
        return "" if Path(plain).exists() else name
    return "" if any((Path(folder) / plain).is_file() for folder in _ZONES) else name


def _wrong_locale(session: Session) -> tuple[str, str]:
    """What the environment sets that is not to be had (`LANG=xx_YY`), or is not of UTF-8, with its charset then."""
    names = ("LC_ALL",) if session.environ.get("LC_ALL") else ("LC_CTYPE", "LANG")  # LC_ALL alone counts where it is set
    given = {name: text for name in names if (text := session.environ.get(name)) and text not in ("C", "POSIX", *_COERCED)}
    for number, (variable, name) in enumerate(given.items()):
        charset = _charset(name)
        if charset is None:
            return f"{variable}={name}", ""
        if number == 0 and charset.upper() not in ("UTF-8", "UTF8") and not _is_coerced(session, variable):
            return f"{variable}={name}", charset
    return "", ""


def _is_coerced(session: Session, variable: str) -> bool:
    """Whether another variable says which letters there are."""
    return variable == "LANG" and session.environ.get("LC_CTYPE", "") in _COERCED


def _charset(name: str) -> str | None:
    """The character set of a locale, None where this machine does not have it. Without setlocale: other threads work."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.newlocale.restype = ctypes.c_void_p
    libc.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    found = libc.newlocale(_LC_CTYPE_MASK, name.encode(), None)
    if not found:
        return None
    libc.nl_langinfo_l.restype = ctypes.c_char_p
    libc.nl_langinfo_l.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.freelocale.argtypes = (ctypes.c_void_p,)
    try:
        return str((libc.nl_langinfo_l(_CODESET, found) or b"").decode("ascii", "replace"))
    finally:
        libc.freelocale(found)


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(one[4][0]) for one in found})


def _proxies(session: Session) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Variables that name a proxy for HTTP, and which names of this machine nothing excepts."""
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    proxies = tuple(name for name in names if session.environ.get(name))
    text = ",".join(session.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    excepted = {one.strip().removeprefix(".") for one in text.split(",")}
    if "*" in excepted:
        return proxies, ()
    return proxies, tuple(
        one for one in _LOCAL if one not in excepted and not (one == "127.0.0.1" and "127.0.0.0/8" in excepted)
    )


def _tmp(folder: Path) -> tuple[str, int]:
    """What is wrong with it, and bytes that are free."""
    if not folder.is_dir():
        return "it is no folder", 0
    if not os.access(folder, os.W_OK | os.X_OK):
        return "this user may not write there", 0
    return "", shutil.disk_usage(folder).free
