"""The ports of the stack, and the block of ports that this checkout owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, unknown, warn
from jeex_cli.checks.repairs import MovePorts

_GROUP = "ports"
_SPARE = 6  # free ports that a block should still have: as many as there are services
_LOOPBACK = ("127.", "::1", "::ffff:127.")
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what is looked for


@dataclass(frozen=True, slots=True)
class Holder:
    """What listens on a port, at `address`. Without a pid where the system does not tell this user.

    `container` is a container's name; `project` the folder of a jeex project that it belongs to, `own` whether that is this.
    """

    port: int
    address: str = "127.0.0.1"
    pid: int | None = None
    command: str = ""
    user: str = ""
    container: str = ""
    project: Path | None = None
    own: bool = False

    @property
    def who(self) -> str:
        """For people."""
        if self.container:
            named = f"the container {self.container}"
        elif self.pid is not None:
            named = f"pid {self.pid} ({self.user}): {self.command}"
        else:
            named = f"a process of {self.user or 'another user'} (see it with: sudo ss -ltnp sport = :{self.port})"
        if self.project is None:
            return named
        return f"{named}, of {'this project' if self.own else f'another jeex project at {self.project}'}"

    @property
    def text(self) -> str:
        """The same as a sentence."""
        return f"port {self.port} is held by {self.who}"

    @property
    def ending(self) -> str:
        """The command that frees the port."""
        if self.own:
            return f"jeex ports free {self.port}"
        if self.project is not None:
            return f"jeex --project '{self.project}' down"
        if self.container:
            return f"docker stop {self.container}"
        return f"kill {self.pid}" if self.pid is not None else f"sudo ss -ltnp sport = :{self.port}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that a service is to have: whether the service's own process has it, and else what has (None: nothing)."""

    service: str
    title: str
    port: int
    ours: bool
    taken: bool
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port that counts. `others` are what listens on the rest of the block, by port.

    `low` is the first port that a user without rights may listen on, `may_low` whether this one may listen below. `outgoing`
    are the first and last port that the kernel gives to outgoing connections, `reserved` those that it leaves out.
    `block_of` are the folders of checkouts that own this block, this one left out.
    """

    wanted: tuple[Wanted, ...]
    block: int
    size: int
    others: Mapping[int, Holder]
    low: int
    may_low: bool
    outgoing: tuple[int, int]
    reserved: frozenset[int]
    block_of: tuple[Path, ...]
    recorded: bool | None


def port_taken(facts: Ports) -> Verdict:
    taken = [one for one in facts.wanted if one.taken]
    if not taken:
        return ok(
            "every port of the stack is free, or its service has it", [f"{one.title}: {one.port}" for one in facts.wanted]
        )
    first = taken[0]
    if len(taken) == 1:
        said = first.holders[0].text if first.holders else f"port {first.port} is held by something that cannot be seen"
        summary = f"{said}; {first.title} needs it"
    else:
        summary = f"{len(taken)} ports that the stack needs are held by others"
    freeing = first.holders[0].ending if first.holders else f"sudo ss -ltnp sport = :{first.port}"
    return fail(
        summary,
        [f"{one.title}: {holder.text}" for one in taken for holder in one.holders] if len(taken) > 1 else (),
        fix=f"{freeing}; or let it have another port: jeex up",
        repair=MovePorts(tuple(one.service for one in taken)),
        code="PORT_IN_USE",
    )


def port_block(facts: Ports) -> Verdict:
    last = facts.block + facts.size - 1
    if facts.block_of:
        return warn(
            f"ports {facts.block}-{last} belong to {facts.block_of[0]}, too",
            fix="jeex down, then jeex ports reset: the next `jeex up` gets a block of its own",
        )
    if facts.recorded is None:
        return unknown("there is no home folder in which blocks are recorded", fix="set HOME")
    free = facts.size - len(facts.others) - len(facts.wanted)
    evidence = [holder.text for _, holder in sorted(facts.others.items())]
    if free < _SPARE:
        return warn(
            f"only {max(free, 0)} ports of {facts.block}-{last} are free: a taken one may have no other to move to",
            evidence,
            fix="end what you do not need: jeex ports lists it",
        )
    held = f", {len(evidence)} held by others" if evidence else ""
    return ok(f"{facts.block}-{last} belong to this checkout{held}", evidence)


def port_ipv6(facts: Ports) -> Verdict:
    other = [
        (one, holder)
        for one in facts.wanted
        for holder in one.holders
        if ":" in holder.address and not holder.own and not one.taken
    ]
    if not other:
        return ok("nothing else has these ports over IPv6")
    one, holder = other[0]
    return warn(
        f"localhost:{one.port} may lead elsewhere over IPv6: [{holder.address}]:{one.port} is held by {holder.who}",
        [f"{wanted.title}: [{held.address}]:{wanted.port} {held.who}" for wanted, held in other],
        fix=f"{holder.ending}; or write 127.0.0.1 in place of localhost",
    )


def port_privileged(facts: Ports) -> Verdict:
    low = [one for one in facts.wanted if one.port < facts.low]
    if not low or facts.may_low:
        return ok(f"this user may listen on every port of the stack (from {facts.low} on, every user may)")
    return fail(
        f"{low[0].title} is to have port {low[0].port}: below {facts.low} only root may listen",
        fix=f"choose a port from {facts.low} on; jeex config show tells where it was set",
    )


def port_ephemeral(facts: Ports) -> Verdict:
    first, last = facts.outgoing
    inside = [one for one in facts.wanted if first <= one.port <= last and one.port not in facts.reserved]
    if not inside:
        return ok(f"no port of the stack is one that the kernel gives to outgoing connections ({first}-{last})")
    ports = ",".join(str(one.port) for one in inside)
    return warn(
        f"the kernel gives port {inside[0].port} of {inside[0].title} to outgoing connections ({first}-{last}): "
        "some day it is taken",
        [f"{one.title}: {one.port}" for one in inside],
        fix=f"choose ports outside of that; or: sysctl -w net.ipv4.ip_local_reserved_ports={ports}",
    )


def port_exposed(facts: Ports) -> Verdict:
    open_ones = [
        (one, holder)
        for one in facts.wanted
        for holder in one.holders
        if holder.own and not holder.address.startswith(_LOOPBACK)
    ]
    if not open_ones:
        return ok("what runs listens on 127.0.0.1 alone")
    one, holder = open_ones[0]
    return fail(
        f"{one.title} listens on {holder.address}:{one.port}: other machines can reach it",
        [f"{wanted.title}: {held.address}:{wanted.port}" for wanted, held in open_ones],
        fix="publish it on 127.0.0.1 in compose.yaml, then: jeex up",
    )


def _check(
    id: str, title: str, explanation: str, judge: object, *, services: tuple[str, ...] = (), up: bool = False
) -> Check:
    return Check(id, _GROUP, title, explanation, Ports, judge, services, up)  # type: ignore[arg-type]


CHECKS = (
    _check(
        "port-taken",
        "every port of the stack is free, or its service has it",
        "Each service has a port on 127.0.0.1. Where something else listens there, or on all addresses, the "
        "finding names it: its process, user and command, the container, or the other jeex project. `jeex up` "
        "gives the service another port of this checkout's block and keeps it; with --strict-ports it refuses.",
        port_taken,
    ),
    _check(
        "port-block",
        "this checkout's ports are its own, and some are free",
        "The first checkout owns 5200-5250, each further one of the same user a block above 25200. Who owns which "
        "is recorded in ~/.local/state/jeex/checkouts.json. The evidence lists who holds the other ports of the "
        "block.",
        port_block,
    ),
    _check(
        "port-ipv6",
        "localhost leads to the stack over IPv6, too",
        "The stack listens on 127.0.0.1. Many programs try ::1 first when they are told localhost; another server "
        "there answers in its place.",
        port_ipv6,
    ),
    _check(
        "port-privileged",
        "this user may listen on every port of the stack",
        "Below net.ipv4.ip_unprivileged_port_start (1024, as a rule) only root may listen, or who has CAP_NET_BIND_SERVICE.",
        port_privileged,
        up=True,
    ),
    _check(
        "port-ephemeral",
        "no port is one that outgoing connections get",
        "The kernel gives the ports of net.ipv4.ip_local_port_range to outgoing connections: some day it is taken.",
        port_ephemeral,
    ),
    _check(
        "port-exposed",
        "nothing listens beyond this machine",
        "Servers of a development stack have no TLS and are for this machine. A compose.yaml that publishes on "
        "0.0.0.0 opens them to the network, past most firewalls.",
        port_exposed,
    ),
)
