"""Who listens on which port: processes, containers, and the jeex project that they belong to."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli import checkouts
from jeex_cli.checks.ports import Holder
from jeex_cli.errors import JeexError
from jeex_cli.project import STATE_FOLDER
from jeex_cli.runtimes import engine
from jeex_cli.session import Session

if TYPE_CHECKING:
    import psutil

_LISTENING = "0A"  # as proc(5) writes the state of a socket
_LONG = 160  # characters of a command line that are shown
_PUBLISHERS = ("docker-proxy", "rootlessport", "com.docker.backend", "dockerd")  # what listens for a container


def holders(session: Session, ports: Iterable[int]) -> dict[int, tuple[Holder, ...]]:
    """What listens on each of `ports`, on any address; nothing for a port that nothing listens on."""
    import psutil

    wanted = set(ports)
    pids: dict[tuple[int, str], int | None] = {}
    for one in psutil.net_connections(kind="tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port in wanted:
            where = (one.laddr.port, one.laddr.ip)
            known = [pid for pid in (one.pid, pids.get(where)) if pid is not None]
            pids[where] = min(known, default=None)  # of several the eldest: the others are its children
    if not pids:
        return {}
    users = _users() if None in pids.values() else {}
    found: dict[int, list[Holder]] = {}
    for (port, address), pid in sorted(pids.items(), key=lambda one: one[0]):
        found.setdefault(port, []).append(_holder(port, address, pid, users.get(port, ""), session.project.root))
    return {port: tuple(_with_container(session, some)) for port, some in found.items()}


def _holder(port: int, address: str, pid: int | None, user: str, root: Path) -> Holder:
    if pid is None:
        return Holder(port, address, user=user)
    import psutil

    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
        place = _project(process, command)
        return Holder(port, address, pid, command[:_LONG], process.username(), "", place, place == root)
    except psutil.Error:
        return Holder(port, address, pid, user=user)


def _project(process: psutil.Process, command: str) -> Path | None:
    """The folder of the jeex project that a server without Docker belongs to: it works below it, or is given paths there."""
    for text in (f"{process.cwd()}/", *command.split()):
        before, found, _ = text.partition(f"/{STATE_FOLDER}/")
        if found and before.startswith("/"):
            return Path(before)
    return None


def _users() -> dict[int, str]:
    """Whose listening sockets are, by port: the kernel tells everybody, psutil nobody."""
    found = {}
    for file in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{file}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # a machine without IPv6
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING:
                found[int(fields[1].rpartition(":")[2], 16)] = _name(int(fields[7]))
    return found


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _with_container(session: Session, some: list[Holder]) -> list[Holder]:
    """With the container's name, where what listens does so for a container."""
    if not any(one.pid is None or any(name in one.command for name in _PUBLISHERS) for one in some):
        return some
    if not engine.may_be_there(session.environ):
        return some
    try:
        name, project = engine.publishing(session.environ).get(some[0].port, ("", ""))
    except JeexError:
        return some  # what can be seen without it is shown
    if not name:
        return some
    own = bool(project) and project == session.stack.project
    known = {one.name: one.root for one in checkouts.known(checkouts.registry(session.environ))}
    place = session.project.root if own else known.get(project)
    return [replace(one, container=name, project=place, own=own) for one in some]
