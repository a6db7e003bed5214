"""Every check of `jeex doctor`, in the order in which they are shown: what may explain what follows comes first."""

from __future__ import annotations

from jeex_cli.checks import (
    configuration,
    disks,
    docker,
    docker_things,
    folders,
    host,
    identity,
    ports,
    postgres,
    postgres_isolation,
    postgres_sessions,
    programs,
    redis,
    services,
    vault,
)
from jeex_cli.checks.base import Check

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *host.CHECKS,
    *docker.CHECKS,
    *docker_things.CHECKS,
    *folders.CHECKS,
    *disks.CHECKS,
    *programs.CHECKS,
    *ports.CHECKS,
    *identity.CHECKS,
    *postgres.CHECKS,
    *postgres_sessions.CHECKS,
    *postgres_isolation.CHECKS,
    *redis.CHECKS,
    *vault.CHECKS,
    *services.CHECKS,
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(check.group for check in CHECKS))
