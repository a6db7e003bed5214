"""What happens while a command works, as data. Operations emit steps; `output` decides how they look."""

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
