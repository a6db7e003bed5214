"""What `--fix` would do: each repair once, with the checks that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jeex_cli.checks.repairs import Repair
from jeex_cli.ops.doctor.examine import Examined


@dataclass(frozen=True, slots=True)
class Planned:
    """A repair, and the ids of the checks that it is for."""

    repair: Repair
    checks: tuple[str, ...]


def plan(examined: Sequence[Examined]) -> list[Planned]:
    """The repairs that are proposed, in the order of the checks."""
    by_repair: dict[Repair, list[str]] = {}
    for one in examined:
        if one.verdict.repair is not None:
            by_repair.setdefault(one.verdict.repair, []).append(one.check.id)
    return [Planned(repair, tuple(checks)) for repair, checks in by_repair.items()]
