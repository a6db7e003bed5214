"""Who holds a port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jeex_cli.errors import PortInUse


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port; without a pid where the system does not tell this user."""

    port: int
    pid: int | None = None
    command: str = ""
    user: str = ""

    @property
    def text(self) -> str:
        """For people."""
        if self.pid is None:
            return f"port {self.port} is held by a process of another user (see it with: sudo ss -ltnp sport = :{self.port})"
        return f"port {self.port} is held by pid {self.pid} ({self.user}): {self.command}"


def holder(port: int) -> Holder:
    """The process that listens on `port`, on any address."""
    import psutil

    try:
        listening = [
            connection.pid
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        ]
    except psutil.AccessDenied:
        return Holder(port)
    for pid in listening:
        if pid is not None:
            try:
                process = psutil.Process(pid)
                command = " ".join(process.cmdline()) or process.name()
                return Holder(port, pid, command[:160], process.username())
            except psutil.Error:
                continue
    return Holder(port)


def refuse(taken: Mapping[str, int]) -> None:
    """Raise PortInUse for every port in `taken` (service -> port), naming who holds it; do nothing where it is empty."""
    if not taken:
        return
    holders = {name: holder(port) for name, port in taken.items()}
    name, first = next(iter(holders.items()))
    raise PortInUse(
        f"{first.text}; {name} needs it"
        if len(holders) == 1
        else f"{len(holders)} ports that the stack needs are held by other processes",
        detail="" if len(holders) == 1 else "\n".join(f"{name}: {one.text}" for name, one in holders.items()),
        hint=f"end that process, or choose another port: JEEX_{name.upper()}_PORT={first.port + 1000} jeex up",
    )
