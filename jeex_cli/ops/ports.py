"""The stack's ports: who holds them, moving what is taken, ending what of ours holds one for nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from jeex_cli import checkouts, probe, proc, state
from jeex_cli.checks.ports import Holder
from jeex_cli.errors import PortInUse
from jeex_cli.ops.port_holders import holders
from jeex_cli.session import Session

_GRACE = 5.0  # seconds that what holds a port gets to end


@dataclass(frozen=True, slots=True)
class Listed:
    """One port of this checkout. `service` is the one that it is for, "" for none; `state` is running, free or taken.

    `asked` is the port that the service would have, had that not been taken.
    """

    port: int
    service: str
    title: str
    state: str
    asked: int | None = None
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """The block's first and last port, and every port of the stack's, then those of the block that something holds."""

    first: int
    last: int
    ports: list[Listed]


def overview(session: Session) -> Overview:
    """Every port that is the stack's or of its block, and who holds it."""
    block = range(session.block, session.block + checkouts.SIZE)
    services = [one for one in session.stack.services if one.host_port is not None]
    taken = session.runtime.taken_ports(session.stack, [one.name for one in services])
    found = holders(session, {*block, *(one.host_port for one in services if one.host_port)})
    asked = session.moved
    listed = []
    for one in services:
        port = one.host_port or 0
        holder = next(iter(found.get(port, ())), None)
        status = "taken" if one.name in taken else "running" if holder is not None else "free"
        listed.append(Listed(port, one.name, one.title, status, asked.get(one.name), holder))
    mine = {one.port for one in listed}
    rest = [
        Listed(port, "", "", "taken", None, some[0])
        for port, some in sorted(found.items())
        if port in block and port not in mine
    ]
    return Overview(block[0], block[-1], [*listed, *rest])


def refuse(session: Session, taken: Mapping[str, int]) -> None:
    """Raise PortInUse for every port in `taken` (service -> port), naming who holds it; do nothing where it is empty."""
    if not taken:
        return
    found = holders(session, taken.values())
    who = {name: next(iter(found.get(port, ())), Holder(port)) for name, port in taken.items()}
    name, first = next(iter(who.items()))
    raise PortInUse(
        f"{first.text}; {session.stack.service(name).title} needs it"
        if len(who) == 1
        else f"{len(who)} ports that the stack needs are held by others",
        detail="" if len(who) == 1 else "\n".join(f"{name}: {one.text}" for name, one in who.items()),
        hint=f"{first.ending}; or, without --strict-ports, `jeex up` takes another port",
    )


def settled(session: Session, names: Collection[str]) -> Session:
    """The session in which each of `names` (all, where there are none) has a port that it can have.

    A taken one is moved to a free one of this project's block, and stays there. Raises PortInUse where that is not wanted,
    or cannot be. For commands that hold the lock.
    """
    taken = session.runtime.taken_ports(session.stack, names)
    if not taken:
        return session
    if session.settings.strict_ports:
        refuse(session, taken)
    return move(session, taken)


def move(session: Session, taken: Mapping[str, int]) -> Session:
    """Give each service of `taken` (with its port) a free port of this project's block, and remember it.

    Raises PortInUse where there is none, or where compose.yaml has a number in place of a variable.
    """
    found = holders(session, taken.values())
    new: dict[str, tuple[str, str]] = {}
    used = {one.host_port for one in session.stack.services}
    for name, port in taken.items():
        variable = _variable(session, port)
        free = _free(session.block, port, used) if variable else None
        if variable is None or free is None:
            refuse(session, {name: port})
            continue
        used.add(free)
        asked = session.state.moved.get(variable, (str(port), ""))[0] if _is_moved(session, variable) else str(port)
        new[variable] = (asked, str(free))
        who = next(iter(found.get(port, ())), Holder(port))
        session.output.note(f"{who.text}; {session.stack.service(name).title} gets {free}, and keeps it (jeex ports)")
    state.save(session.project, replace(session.state, moved={**session.state.moved, **new}))
    return session.anew()


def reset(session: Session) -> list[str]:
    """Forget every move; the next `up` has the ports that were asked for, or moves anew. Returns the services' names."""
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        names = list(session.moved)
        block = None if _is_shared(session) else session.state.block
        state.save(session.project, replace(session.state, moved={}, block=block))
        return names


def _is_shared(session: Session) -> bool:
    """Whether another checkout has the same block: who resets gives way."""
    others = checkouts.known(checkouts.registry(session.environ))
    return any(one.block == session.block and one.root != session.project.root for one in others)


def _is_moved(session: Session, variable: str) -> bool:
    return session.state.moved.get(variable, ("", ""))[1] == session.settings.values[variable].text


def _variable(session: Session, port: int) -> str | None:
    """The variable that a service has its port from."""
    for name, value in session.settings.values.items():
        if name.endswith("_PORT") and value.text == str(port):
            return name
    return None


def _free(block: int, port: int, used: Collection[int | None]) -> int | None:
    """The next free port of the block, from `port` on if that is in it, that no service is to have."""
    ports = range(block, block + checkouts.SIZE)
    start = ports.index(port) if port in ports else 0
    in_turn = (*ports[start:], *ports[:start])
    return next((one for one in in_turn if one not in used and one != port and probe.is_free(one)), None)


def free(session: Session, port: int) -> Holder | None:
    """End what holds `port`, if that is a leftover of this project; what it was, None where nothing held it.

    Raises PortInUse, changing nothing, where it is anything else: another's, or a service of ours at work.
    """
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        found = holders(session, [port]).get(port, ())
        if not found:
            return None
        first = next((one for one in found if one.own), found[0])
        if not first.own:
            raise PortInUse(f"{first.text}: jeex ends only what is its own", hint=first.ending)
        service = _at_work(session, port)
        if service:
            raise PortInUse(f"port {port} is that of {service}, which runs as it should", hint="jeex down stops the stack")
        if first.container:
            from jeex_cli.runtimes import engine

            engine.remove(session.environ, first.container)
            return first
        processes = [one for holder in found if holder.pid and (one := proc.running(holder.pid)) is not None]
        if left := proc.end(processes, grace=_GRACE):
            raise PortInUse(f"pid {left[0].pid} does not end", hint=f"sudo kill -9 {left[0].pid}")
        return first


def _at_work(session: Session, port: int) -> str:
    """The title of the service that has the port by rights, "" where there is none."""
    running = (one for one in session.runtime.states(session.stack) if one.pid is not None and one.port == port)
    return next((one.title for one in running), "")
