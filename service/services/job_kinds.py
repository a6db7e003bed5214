"""What a kind of job is, and what its code is given.

A job's code may run more than once: after a failure, or when the process that ran it was lost. What must happen once it
returns as `Finish`: that runs in the transaction which marks the job as done, so there is both or neither.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import asyncpg

from service.adapters.database import Database
from service.core.errors import JobCancelled


@dataclass(frozen=True, slots=True)
class Finish:
    """What came of a job: a sentence, what the result is (None without one), and what is to be written with it."""

    message: str = ""
    result: Mapping[str, object] | None = None
    write: Callable[[asyncpg.Connection], Awaitable[None]] | None = None


@dataclass(slots=True)
class Job:
    """A job that runs. Its code tells how far it is, and asks now and then whether it should stop."""

    tenant_id: uuid.UUID
    tenant_slug: str
    id: uuid.UUID
    args: Mapping[str, object]
    attempt: int
    database: Database  # as jeex_app: every transaction of it names the tenant
    percent: int | None = None
    message: str = ""
    stopping: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, percent: float | None, message: str = "") -> None:
        """How far it is, 0 to 100, and with what. Written within the second. Raises JobCancelled when it should stop."""
        self.percent = None if percent is None else max(0, min(100, int(percent)))
        self.message = message[:500]
        self.told.set()
        self.check()

    def check(self) -> None:
        """Raises JobCancelled when it should stop."""
        if self.stopping:
            raise JobCancelled("it was cancelled")


Code = Callable[[Job], Awaitable[Finish | None]]


@dataclass(frozen=True, slots=True)
class JobKind:
    """`timeout` is in seconds, for one attempt. A failure is tried again up to the job's own number of attempts."""

    name: str
    code: Code
    timeout: float = 300.0
