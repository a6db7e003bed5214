"""One time line out of every service's log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from jeex_cli.errors import UsageError
from jeex_cli.ops import timespan
from jeex_cli.runtimes.base import Line
from jeex_cli.session import Session


def lines(session: Session, names: Collection[str], *, tail: int, since: float | None, follow: bool) -> Iterator[Line]:
    """The last `tail` lines of each service (all where negative), in the order of time; with `follow` then every new one."""
    for name in names:
        session.stack.service(name)
    return session.runtime.lines(session.stack, names, tail=tail, since=since, follow=follow)


def moment(text: str) -> float:
    """`10m`, `2h`, `2026-11-24`, `2026-11-24T06:00:00Z` as seconds since the epoch. Raises UsageError."""
    ago = timespan.parse(text)
    try:
        given = datetime.fromisoformat(text.strip()) if ago is None else datetime.now(UTC) - ago
        return given.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time", hint="for example --since 10m, or --since 2026-11-24T06:00:00Z") from None
