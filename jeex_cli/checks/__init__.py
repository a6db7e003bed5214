"""Every check of `jeex doctor`, in the order in which they are shown."""

from __future__ import annotations

from jeex_cli.checks import configuration, ports
from jeex_cli.checks.base import Check

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *ports.CHECKS,
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(check.group for check in CHECKS))
