"""What a runtime is: the seam between what jeex does and what runs the servers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from jeex_cli.events import Report
from jeex_cli.stack import Stack

Status = Literal["running", "starting", "unhealthy", "crashed", "stopped", "completed", "failed"]


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How one service is.

    `since` is when it came into that state (seconds since the epoch, None where nobody knows), `detail` says why it is not
    running. A one-shot service is `completed` or `failed`.
    """

    name: str
    title: str
    status: Status
    pid: int | None = None
    since: float | None = None
    port: int | None = None
    address: str | None = None
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is as a healthy stack has it."""
        return self.status in ("running", "completed")


class Runtime(Protocol):
    """Runs a stack's servers. `names` selects services, empty for all of them."""

    @property
    def name(self) -> str:
        """As settings and `status` call it."""

    def check(self, stack: Stack, names: Collection[str]) -> None:
        """Raise NotReady or DataError if `start` could not succeed; change nothing."""

    def taken_ports(self, stack: Stack, names: Collection[str]) -> dict[str, int]:
        """The ports that `start` would need and that something else holds, by service."""

    def left_out(self, stack: Stack) -> list[str]:
        """The titles of services that this runtime cannot run."""

    def start(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """Start what is not running and wait until it works, at most `timeout` seconds. Raises Unhealthy, TimedOut."""

    def stop(self, stack: Stack, names: Collection[str], report: Report) -> None:
        """Stop what is running; data stays."""

    def delete_data(self, stack: Stack) -> None:
        """Delete the data of a stopped stack."""

    def states(self, stack: Stack) -> list[ServiceState]:
        """Every service's state, in start order."""

    def log_files(self, stack: Stack, names: Collection[str]) -> dict[str, Path]:
        """Where each service's output is."""
