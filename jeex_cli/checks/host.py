"""The machine: memory, limits, clock, names."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, warn

_GROUP = "host"
_MIB = 1024 * 1024
_NEEDED_MEMORY, _LITTLE_MEMORY = 300 * _MIB, 1024 * _MIB  # bytes; the stack itself takes some 250 MiB
_SWAP_USED = 0.9
_FILES = 1024  # open files that a server may have
_PROCESSES = 100  # and threads: each server of the stack has some
_AHEAD = 60.0  # seconds by which a file may be from the future: clocks of file systems differ a little
_TMP = 10 * _MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process that is started here may have. `processes` are those, threads too, that its user may have besides
    those that there are; None where there is no limit, as for root.
    """

    open_files: int
    processes: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """The addresses that `localhost` has; a kind of its own, for a name server may take its time."""

    localhost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, as this process finds it. Sizes are in bytes.

    `memory` is what is available, `limit` what a control group leaves of that (None: it has no limit). `ahead` is the newest
    file of the project's, or of jeex, that is from the future, by seconds. `zone` is a name that means nothing here, or "".
    `locale` is what is set (LANG=xx_YY) and not to be had, or, with a `charset`, is none of UTF-8. `proxies` are variables
    that lead requests for 127.0.0.1 to a proxy, `uncovered` the names that no_proxy lacks.
    """

    memory: int
    limit: int | None
    swap: int
    swap_free: int
    ahead: tuple[str, float] | None
    zone: str
    locale: str
    charset: str
    proxies: tuple[str, ...]
    uncovered: tuple[str, ...]
    tmp: str
    tmp_problem: str
    tmp_free: int


def host_memory(facts: Host) -> Verdict:
    free = facts.memory if facts.limit is None else min(facts.memory, facts.limit)
    whose = "this machine" if facts.limit is None or facts.memory <= facts.limit else "this control group (container)"
    if free < _NEEDED_MEMORY:
        return fail(
            f"{whose} has {free // _MIB} MiB of memory left; the stack needs {_NEEDED_MEMORY // _MIB} MiB",
            fix="end what takes it: ps -eo rss,pid,args --sort=-rss | head; or give the container more",
        )
    if free < _LITTLE_MEMORY:
        return warn(
            f"{whose} has only {free // _MIB} MiB of memory left",
            fix="end what takes it: ps -eo rss,pid,args --sort=-rss | head; or give the container more",
        )
    return ok(f"{free // _MIB:,} MiB of memory are available")


def host_swap(facts: Host) -> Verdict:
    if not facts.swap:
        return ok("there is no swap, and none is needed")
    used = 1 - facts.swap_free / facts.swap
    if used > _SWAP_USED:
        return warn(
            f"{used:.0%} of the swap is used: the machine has run out of memory before, and is slow",
            fix="end what takes the memory: ps -eo rss,pid,args --sort=-rss | head",
        )
    return ok(f"{used:.0%} of the swap is used")


def host_limits(facts: Limits) -> Verdict:
    if facts.open_files < _FILES:
        return fail(
            f"a process here may have {facts.open_files} files open; the servers need {_FILES}",
            fix=f"ulimit -n 4096 in the shell that runs jeex up (at least {_FILES}), then: jeex restart",
        )
    if facts.processes is not None and facts.processes < _PROCESSES:
        return warn(
            f"this user may have {max(0, facts.processes)} more processes and threads; the stack takes some {_PROCESSES}",
            fix="end what is not needed: ps -u $(id -u) -L | wc -l counts; or a higher limit: ulimit -u 4096",
        )
    return ok(f"a process may have {facts.open_files:,} files open")


def host_clock(facts: Host) -> Verdict:
    if facts.ahead is not None:
        path, seconds = facts.ahead
        return warn(
            f"{path} is {seconds:.0f} s from the future: this machine's clock was put back, or is wrong",
            fix="set the clock (timedatectl set-ntp true); where it is right: touch the file",
        )
    return ok("nothing here is from the future")


def host_timezone(facts: Host) -> Verdict:
    if facts.zone:
        return warn(
            f"TZ is {facts.zone!r}, a time zone that this machine does not know: times are shown in UTC",
            fix="export TZ=Europe/Berlin, or any name below /usr/share/zoneinfo; or: unset TZ",
        )
    return ok("the time zone is known")


def host_locale(facts: Host) -> Verdict:
    if facts.charset:
        return warn(
            f"{facts.locale} is a locale of {facts.charset}, not of UTF-8: names with other letters break",
            fix="export LC_ALL=C.UTF-8, or the UTF-8 locale of your language",
        )
    if facts.locale:
        return warn(
            f"{facts.locale} is a locale that this machine does not have: programs fall back to ASCII",
            fix="export LC_ALL=C.UTF-8",
        )
    return ok("the locale is there")


def host_localhost(facts: Names) -> Verdict:
    if "127.0.0.1" not in facts.localhost:
        found = ", ".join(facts.localhost) or "nothing"
        return warn(
            f"localhost leads to {found}, not to 127.0.0.1: programs that are told localhost do not find the stack",
            fix="echo '127.0.0.1 localhost' | sudo tee -a /etc/hosts",
        )
    return ok("localhost is 127.0.0.1")


def host_proxy(facts: Host) -> Verdict:
    if facts.proxies and facts.uncovered:
        return warn(
            f"{facts.proxies[0]} sends requests for {facts.uncovered[0]} to a proxy, which cannot reach this stack",
            [f"set: {', '.join(facts.proxies)}", f"not excepted: {', '.join(facts.uncovered)}"],
            fix="export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost",
        )
    return ok("no proxy is between here and 127.0.0.1")


def host_tmp(facts: Host) -> Verdict:
    if facts.tmp_problem:
        return warn(f"{facts.tmp}, for temporary files, cannot be used: {facts.tmp_problem}", fix="export TMPDIR=/tmp")
    if facts.tmp_free < _TMP:
        return warn(
            f"{facts.tmp}, for temporary files, is full", fix=f"free some space: du -xh '{facts.tmp}' | sort -h | tail"
        )
    return ok(f"{facts.tmp} takes temporary files")


def _check(id: str, title: str, explanation: str, judge: object, *, facts: type[object] = Host, up: bool = False) -> Check:
    return Check(id, _GROUP, title, explanation, facts, judge, (), up)  # type: ignore[arg-type]


CHECKS = (
    _check(
        "host-memory",
        "there is memory for the stack",
        "The stack takes some 250 MiB when nothing happens. Counts what the kernel calls available, and what the "
        "limit of a container or control group leaves. Fails below 300 MiB, warns below 1 GiB.",
        host_memory,
    ),
    _check(
        "host-swap",
        "the swap is not full",
        "A machine whose swap is used up answers slowly, and ends processes next. No swap at all is fine.",
        host_swap,
    ),
    _check(
        "host-limits",
        "servers may open enough files",
        "Each connection and each table takes a file descriptor, and each server some processes or threads. They "
        "inherit the limits of the shell that ran `up`. Fails below 1,024 files, warns below 100 more processes.",
        host_limits,
        facts=Limits,
        up=True,
    ),
    _check(
        "host-clock",
        "the clock has not gone back",
        "Tokens, leases and certificates are good for a time. Looks for files of this project and of jeex "
        "that are from the future; the servers' clocks are compared in vault-clock and docker-clock.",
        host_clock,
    ),
    _check(
        "host-timezone",
        "the time zone is known",
        "A TZ that names no time zone is read as UTC without a word, by most programs.",
        host_timezone,
    ),
    _check(
        "host-locale",
        "the locale is there",
        "LC_ALL, LC_CTYPE or LANG names a locale. Where it is not installed programs fall back to ASCII, and "
        "names with other letters break; so they do in one that is not of UTF-8. C.UTF-8 is everywhere. None at all, C "
        "or POSIX is fine: so are bare containers, and Python and PostgreSQL use UTF-8 there all the same.",
        host_locale,
    ),
    _check(
        "host-localhost",
        "localhost is 127.0.0.1",
        "jeex itself says 127.0.0.1. Browsers, drivers and examples say localhost, which /etc/hosts has to know.",
        host_localhost,
        facts=Names,
    ),
    _check(
        "host-proxy",
        "no proxy swallows 127.0.0.1",
        "HTTP_PROXY and its siblings lead the requests of most tools to a proxy, those for this machine too, "
        "unless no_proxy excepts them. The proxy looks for 127.0.0.1 on its own machine.",
        host_proxy,
    ),
    _check(
        "host-tmp",
        "there is room for temporary files",
        "PostgreSQL's tools, Python and Docker put temporary files where TMPDIR says, /tmp as a rule.",
        host_tmp,
    ),
)
