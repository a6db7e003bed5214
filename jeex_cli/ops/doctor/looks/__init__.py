"""What gathers the facts of each kind. A look changes nothing. It raises CannotLook or a JeexError where there are none
to be had; every check of those facts says so then.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from jeex_cli.checks import configuration, folders, host, ports, programs
from jeex_cli.session import Session

# Module and function by the type of the facts; a module is imported when it is asked.
LOOKS: Mapping[type[Any], tuple[str, str]] = {
    configuration.Configuration: ("configuration", "look"),
    host.Host: ("host", "look"),
    folders.Folders: ("folders", "look"),
    folders.ProgramPlaces: ("folders", "look_at_programs"),
    programs.Found: ("programs", "look"),
    programs.Loaded: ("programs", "look_at_loading"),
    programs.Namespaces: ("programs", "look_at_namespaces"),
    programs.Processes: ("programs", "look_at_processes"),
    ports.Ports: ("ports", "look"),
}


def look(kind: type[Any], session: Session) -> Any:
    """The facts of that type. Raises CannotLook, JeexError."""
    module, function = LOOKS[kind]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(session)
