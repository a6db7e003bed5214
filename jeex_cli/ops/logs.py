"""One time line out of every service's log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from jeex_cli.errors import UsageError
from jeex_cli.log_entry import LEVELS, Entry
from jeex_cli.ops import timespan
from jeex_cli.runtimes.asked import Asked, everything
from jeex_cli.runtimes.base import CLI
from jeex_cli.session import Session

_TAIL = 100  # entries of each service, where nothing says how many


@dataclass(frozen=True, slots=True)
class Filter:
    """What an entry must be like: of `level` or worse, about that tenant, with `search` in it (in whatever case)."""

    level: str | None = None
    tenant: str | None = None
    search: str | None = None

    def compiled(self) -> Callable[[Entry], bool]:
        """Whether an entry is like that."""
        if (self.level, self.tenant, self.search) == (None, None, None):
            return everything
        allowed = frozenset(LEVELS[LEVELS.index(self.level) :] if self.level else LEVELS)
        tenant, search = self.tenant, self.search.casefold() if self.search else ""

        def wanted(entry: Entry) -> bool:
            if entry.level not in allowed or (tenant and tenant != entry.tenant):
                return False
            return not search or search in entry.text.casefold() or search in entry.message.casefold()

        return wanted


def entries(
    session: Session,
    names: Collection[str],
    *,
    chosen: Filter,
    tail: int | None,
    since: float | None,
    until: float | None,
    follow: bool,
) -> Iterator[Entry]:
    """The last `tail` entries of each service that pass the filter, in the order of time; with `follow` then every new one.

    All of them where `tail` is negative, or None with a `since`. `names` may hold `cli`, jeex' own log. Raises UsageError.
    """
    for name in names:
        if name != CLI:
            session.stack.service(name)
    if since is not None and until is not None and until < since:
        raise UsageError("--until is before --since", hint="jeex logs --since 2h --until 1h")
    if follow and until is not None:
        raise UsageError("--follow goes on, --until ends", hint="leave one of them out")
    last = (None if since is not None else _TAIL) if tail is None else None if tail < 0 else tail
    return session.runtime.entries(session.stack, names, Asked(last, since, until, chosen.compiled()), follow=follow)


def moment(text: str, option: str = "--since") -> float:
    """`10m`, `2h`, `2026-11-24`, `2026-11-24T06:00:00Z` as seconds since the epoch. Raises UsageError."""
    ago = timespan.parse(text)
    try:
        given = datetime.fromisoformat(text.strip()) if ago is None else datetime.now(UTC) - ago
        return given.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time", hint=f"for example {option} 10m, or {option} 2026-11-24T06:00:00Z"
        ) from None
