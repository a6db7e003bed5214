"""What a check is: a pure function over facts that somebody else gathered.

The facts stand in this package beside their checks; what gathers them is in ops/doctor/looks/, what repairs in
ops/doctor/repairs.py. A check never looks for itself, and it cannot say `ok` of what was not looked at: then there are no
facts to call it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from jeex_cli.checks.repairs import Repair
from jeex_cli.errors import JeexError
from jeex_cli.events import Level


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check makes of its facts; see Finding for the fields. `code` is that of errors, where one has a name for it."""

    level: Level
    summary: str
    evidence: tuple[str, ...] = ()
    fix: str = ""
    repair: Repair | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Its id is stable: people write it into scripts.

    `facts` is the type that `judge` takes. `explanation` is what `--explain` prints: what is looked at, why it matters, what
    to do. `services` are those whose failure it may explain. `before_up`: `up` refuses with its words before it starts
    anything; its facts must be had in milliseconds then. `runtime`: where it means anything, "" for both.
    """

    id: str
    group: str
    title: str
    explanation: str
    facts: type[Any]
    judge: Callable[[Any], Verdict] = field(repr=False)
    services: tuple[str, ...] = ()
    before_up: bool = False
    runtime: Literal["", "embedded", "compose"] = ""

    @property
    def code(self) -> str:
        """How `up` and programs call it: PORT_PRIVILEGED for port-privileged."""
        return self.id.upper().replace("-", "_")


class CannotLook(Exception):
    """Raised by what gathers facts, where there are none to be had; in words that go on after "not looked at: "."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected  # there is nothing to look at: skipped, not unknown


def ok(summary: str, evidence: Iterable[str] = ()) -> Verdict:
    """All is well."""
    return Verdict("ok", summary, tuple(evidence))


def warn(summary: str, evidence: Iterable[str] = (), *, fix: str = "", repair: Repair | None = None) -> Verdict:
    """The stack works, but not for long, or not as well as it could."""
    return Verdict("warn", summary, tuple(evidence), fix, repair)


def fail(
    summary: str, evidence: Iterable[str] = (), *, fix: str = "", repair: Repair | None = None, code: str = ""
) -> Verdict:
    """The stack does not work, or is not safe."""
    return Verdict("fail", summary, tuple(evidence), fix, repair, code)


def unknown(reason: str, *, fix: str = "") -> Verdict:
    """It could not be looked at; `reason` goes on after "not looked at: "."""
    return Verdict("unknown", f"not looked at: {reason}", fix=fix)


def skipped(reason: str) -> Verdict:
    """There is nothing to look at; `reason` as above."""
    return Verdict("skipped", f"not looked at: {reason}")


def refused(error: JeexError, repair: Repair | None = None) -> Verdict:
    """A failure in the very words of the error that a command would end with."""
    return Verdict("fail", error.message, tuple(error.detail.splitlines()), error.hint, repair, error.code)
