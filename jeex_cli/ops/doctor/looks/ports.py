"""Who listens on the stack's ports and on the others of its block, and what the kernel says about them."""

from __future__ import annotations

from pathlib import Path

from jeex_cli import checkouts
from jeex_cli.checks.ports import Ports, Wanted
from jeex_cli.ops.port_holders import holders
from jeex_cli.session import Session

_SYSCTL = Path("/proc/sys/net/ipv4")
_BIND_LOW = 10  # CAP_NET_BIND_SERVICE


def look(session: Session) -> Ports:
    """The facts of checks/ports.py."""
    services = [one for one in session.stack.services if one.host_port is not None]
    left_out = set(session.runtime.left_out(session.stack))
    taken = session.runtime.taken_ports(session.stack, [one.name for one in services if one.title not in left_out])
    states = {one.name: one for one in session.runtime.states(session.stack)}
    block = range(session.block, session.block + checkouts.SIZE)
    found = holders(session, {*block, *(one.host_port for one in services if one.host_port is not None)})
    mine = {one.host_port for one in services}
    registry = checkouts.registry(session.environ)
    known = checkouts.known(registry)
    return Ports(
        wanted=tuple(
            Wanted(
                one.name,
                one.title,
                one.host_port or 0,
                ours=one.name in states and states[one.name].pid is not None,
                taken=one.name in taken,
                holders=found.get(one.host_port or 0, ()),
            )
            for one in services
        ),
        block=session.block,
        size=checkouts.SIZE,
        others={port: some[0] for port, some in found.items() if port in block and port not in mine},
        low=_number("ip_unprivileged_port_start", 1024),
        may_low=_may_bind_low(),
        outgoing=_outgoing(),
        reserved=_reserved(),
        block_of=tuple(one.root for one in known if one.block == session.block and one.root != session.project.root),
        recorded=None if registry is None else any(one.root == session.project.root for one in known),
    )


def _number(name: str, default: int) -> int:
    try:
        return int((_SYSCTL / name).read_text())
    except (OSError, ValueError):
        return default  # as kernels before 4.11 have it


def _outgoing() -> tuple[int, int]:
    try:
        first, last = (_SYSCTL / "ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return 32_768, 60_999
    return int(first), int(last)


def _reserved() -> frozenset[int]:
    """Ports and ranges of them: `8080,9148-9150`."""
    try:
        text = (_SYSCTL / "ip_local_reserved_ports").read_text().strip()
    except OSError:
        return frozenset()
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _may_bind_low() -> bool:
    """Whether this process has CAP_NET_BIND_SERVICE."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _BIND_LOW & 1)
