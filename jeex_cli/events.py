"""What happens, as data: operations emit steps, doctor has findings; who prints them decides how they look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

StepStatus = Literal["running", "done", "kept", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that started or ended.

    `id` is stable (a service's name, or a step of an operation), `text` is for people, `seconds` is how long it took
    once it has ended. `kept` means that nothing had to be done.
    """

    id: str
    text: str
    status: StepStatus
    seconds: float | None = None
    detail: str = ""


Report = Callable[[Step], None]


def silent(_step: Step) -> None:
    """A Report that nobody reads."""


Level = Literal["ok", "warn", "fail", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one of doctor's checks has found.

    `unknown`: it could not look, and `summary` says why. `skipped`: there is nothing to look at (the other runtime, a server
    that does not run). Neither is ok. `evidence` is what was seen, `fix` the exact command or edit, `repair` what `--fix`
    would do, "" where it leaves it to the user.
    """

    check: str
    group: str
    level: Level
    summary: str
    evidence: tuple[str, ...] = ()
    fix: str = ""
    repair: str = ""
