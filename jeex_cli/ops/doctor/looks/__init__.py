"""What gathers the facts of each kind. A look changes nothing. It raises CannotLook or a JeexError where there are none
to be had; every check of those facts says so then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jeex_cli.checks.configuration import Configuration
from jeex_cli.checks.ports import Ports
from jeex_cli.ops.doctor.looks import configuration, ports
from jeex_cli.session import Session

Look = Callable[[Session], Any]

LOOKS: Mapping[type[Any], Look] = {
    Configuration: configuration.look,
    Ports: ports.look,
}
