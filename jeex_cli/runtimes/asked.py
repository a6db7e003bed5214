"""What somebody wants to see of the logs. Apart from the seam, for most commands want nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jeex_cli.log_entry import Entry


def everything(_entry: Entry) -> bool:
    """A filter that leaves nothing out."""
    return True


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the logs is asked for: the last `tail` entries of each service (None: all) between `since` and `until`
    (seconds since the epoch) that pass `wanted`."""

    tail: int | None = 100
    since: float | None = None
    until: float | None = None
    wanted: Callable[[Entry], bool] = everything

    def wants(self, entry: Entry) -> bool:
        """Whether the entry is one of those."""
        if self.since is not None and entry.at < self.since and entry.at:
            return False
        return (self.until is None or entry.at <= self.until) and self.wanted(entry)
