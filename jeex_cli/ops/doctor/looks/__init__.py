"""What gathers the facts of each kind. A look changes nothing. It raises CannotLook or a JeexError where there are none
to be had; every check of those facts says so then.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from jeex_cli import checks
from jeex_cli.session import Session

# Module and function by the type of the facts; a module is imported when it is asked.
LOOKS: Mapping[type[Any], tuple[str, str]] = {
    checks.configuration.Configuration: ("configuration", "look"),
    checks.host.Limits: ("host", "look_at_limits"),
    checks.host.Names: ("host", "look_at_names"),
    checks.host.Host: ("host", "look"),
    checks.docker.Engine: ("docker", "look"),
    checks.docker.Compose: ("docker", "look_at_compose"),
    checks.docker.EngineDisk: ("docker", "look_at_disk"),
    checks.docker_things.Things: ("docker", "look_at_things"),
    checks.docker.OldImages: ("docker", "look_at_old_images"),
    checks.docker_things.Volumes: ("docker", "look_at_volumes"),
    checks.folders.Folders: ("folders", "look"),
    checks.disks.Disks: ("disks", "look"),
    checks.disks.ProgramPlaces: ("disks", "look_at_programs"),
    checks.programs.Found: ("programs", "look"),
    checks.programs.Loaded: ("programs", "look_at_loading"),
    checks.programs.Namespaces: ("programs", "look_at_namespaces"),
    checks.programs.Processes: ("programs", "look_at_processes"),
    checks.ports.Ports: ("ports", "look"),
    checks.identity.Identities: ("identity", "look"),
    checks.postgres.DataFiles: ("postgres", "look_at_files"),
    checks.postgres.Access: ("postgres", "look_at_access"),
    checks.postgres.Server: ("postgres", "look"),
    checks.postgres_sessions.Room: ("postgres", "look_at_room"),
    checks.postgres_sessions.Sessions: ("postgres", "look_at_sessions"),
    checks.postgres_isolation.Isolation: ("postgres_isolation", "look"),
    checks.redis.Door: ("redis", "look_at_door"),
    checks.redis.Server: ("redis", "look"),
    checks.vault.Health: ("vault", "look"),
    checks.vault.Access: ("vault", "look_at_access"),
    checks.vault.Handovers: ("vault", "look_at_handovers"),
    checks.vault.Leases: ("vault", "look_at_leases"),
    checks.services.Services: ("services", "look"),
}


def look(kind: type[Any], session: Session) -> Any:
    """The facts of that type. Raises CannotLook, JeexError."""
    module, function = LOOKS[kind]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(session)
