"""What was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

AREAS = ("api", "sql", "redis", "vault", "queue")
Outcome = Literal["refused", "hole", "untried"]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `seen` is what the stack answered: the refusal, what a hole let through, or why it could not be tried.

    `close` says how a hole is closed; it is empty for everything else.
    """

    area: str
    what: str
    outcome: Outcome
    seen: str
    close: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """One area in numbers. `tried` counts refusals and holes: what could not be tried proves nothing."""

    area: str
    tried: int
    refused: int
    holes: int
    untried: int


@dataclass(slots=True)
class Evidence:
    """Every attack, in the order of the attempts."""

    attacks: list[Attack] = field(default_factory=list)

    def refused(self, area: str, what: str, seen: str) -> None:
        """The stack said no, for the right reason."""
        self.attacks.append(Attack(area, what, "refused", seen))

    def hole(self, area: str, what: str, seen: str, close: str) -> None:
        """It got through, or would have. `seen` is one sentence that names the hole."""
        self.attacks.append(Attack(area, what, "hole", seen, close))

    def untried(self, area: str, what: str, why: str) -> None:
        """It never reached what should have refused it: nothing is known of that."""
        self.attacks.append(Attack(area, what, "untried", why))

    def judged(self, area: str, what: str, *, holds: bool, refusal: str, hole: str, close: str) -> None:
        """Refused where it `holds`, else a hole."""
        if holds:
            self.refused(area, what, refusal)
        else:
            self.hole(area, what, hole, close)

    @property
    def holes(self) -> list[Attack]:
        """What got through."""
        return [one for one in self.attacks if one.outcome == "hole"]

    @property
    def unknown(self) -> list[Attack]:
        """What could not be tried."""
        return [one for one in self.attacks if one.outcome == "untried"]

    def tally(self, areas: Iterable[str] = AREAS) -> list[Tally]:
        """The numbers of each area."""
        return [self._of(area) for area in areas]

    def _of(self, area: str) -> Tally:
        found = [one.outcome for one in self.attacks if one.area == area]
        refused, holes = found.count("refused"), found.count("hole")
        return Tally(area, refused + holes, refused, holes, found.count("untried"))
