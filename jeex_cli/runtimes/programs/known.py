"""The programs that serve a stack without Docker, by the name that `x-jeex.program` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jeex_cli.runtimes.programs.base import Program
from jeex_cli.runtimes.programs.openbao import OpenBao
from jeex_cli.runtimes.programs.postgres import Postgres
from jeex_cli.runtimes.programs.python import Python
from jeex_cli.runtimes.programs.valkey import Valkey

PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {"postgres": Postgres(), "valkey": Valkey(), "openbao": OpenBao(), "python": Python()}
)
