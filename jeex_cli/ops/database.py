"""The stack's database: migrations, and a shell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from jeex_cli.errors import JeexError, NotReady
from jeex_cli.events import Step
from jeex_cli.session import Session


@dataclass(frozen=True, slots=True)
class Migrated:
    """`before` and `after` are revisions (None: an empty database), `applied` those that were run, in order."""

    before: str | None
    after: str | None
    applied: list[str]
