"""Whether the stack's services run."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, skipped, warn
from jeex_cli.checks.repairs import StartStack

_BROKEN = ("crashed", "failed", "unhealthy")


@dataclass(frozen=True, slots=True)
class State:
    """A service: its name, its title, its status as `jeex status` has it, and why."""

    name: str
    title: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Services:
    """Every service of the stack; `one_shot` are those that do their work and end."""

    states: tuple[State, ...]
    one_shot: frozenset[str]


def services_running(facts: Services) -> Verdict:
    broken = [one for one in facts.states if one.status in _BROKEN]
    stopped = [one for one in facts.states if one.status == "stopped" and one.name not in facts.one_shot]
    running = [one for one in facts.states if one.status in ("running", "starting")]
    if broken:
        first = broken[0]
        return fail(
            f"{first.title} is {first.status}" + (f": {first.detail}" if first.detail else ""),
            [f"{one.title}: {one.status}{', ' + one.detail if one.detail else ''}" for one in broken],
            fix=f"jeex up; jeex logs {first.name} shows why",
            repair=StartStack(),
            code="UNHEALTHY",
        )
    if not running:
        return skipped("the stack does not run: jeex up")
    if stopped:
        return warn(
            f"{', '.join(one.title for one in stopped)}: stopped, while the rest of the stack runs",
            fix="jeex up",
            repair=StartStack(),
        )
    return ok("every service runs", [f"{one.title}: {one.status}" for one in facts.states])


CHECKS = (
    Check(
        "services-running",
        "services",
        "every service runs",
        "What `jeex status` tells, as a finding: services that crashed, failed or do not answer as they should. "
        "The checks of the service itself say more.",
        Services,
        services_running,
    ),
)
