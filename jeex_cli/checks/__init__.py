"""Every check of `jeex doctor`, in the order in which they are shown: what may explain what follows comes first."""

from __future__ import annotations

from jeex_cli.checks import configuration, folders, host, ports, programs
from jeex_cli.checks.base import Check

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *host.CHECKS,
    *folders.CHECKS,
    *programs.CHECKS,
    *ports.CHECKS,
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(check.group for check in CHECKS))
