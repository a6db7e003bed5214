"""What a runtime is: the seam between what jeex does and what runs the servers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from jeex_cli.events import Report
from jeex_cli.stack import Stack

if TYPE_CHECKING:  # what reads logs is slow to import, and most commands read none
    from jeex_cli.log_entry import Entry
    from jeex_cli.runtimes.asked import Asked

CLI = "cli"  # what jeex itself is called where services have names
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
    restarts: int = 0  # how often it was started again by itself since it was last started on purpose

    @property
    def ok(self) -> bool:
        """Whether it is as a healthy stack has it."""
        return self.status in ("running", "completed")


@dataclass(frozen=True, slots=True)
class Volume:
    """Data of the stack. `name` is a folder or a volume of Docker's, `size` in bytes (None where it cannot be told), `made`
    in seconds since the epoch; `problem` says why the service could not work with it, "" where it could."""

    name: str
    service: str
    size: int | None = None
    made: float | None = None
    problem: str = ""


class Runtime(Protocol):
    """Runs a stack's servers. `names` selects services, empty for all of them."""

    @property
    def name(self) -> str:
        """As settings and `status` call it."""

    def check(self, stack: Stack, names: Collection[str]) -> None:
        """Raise NotReady or DataError if `start` could not succeed; change nothing."""

    def obtain(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """Get what `start` needs and is not here yet. Raises NotReady where it cannot be had."""

    def taken_ports(self, stack: Stack, names: Collection[str]) -> dict[str, int]:
        """The ports that `start` would need and that something else holds, by service."""

    def left_out(self, stack: Stack) -> list[str]:
        """The titles of services that this runtime cannot run."""

    def start(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """Start what is not running and wait until it works, at most `timeout` seconds. Raises Unhealthy, TimedOut."""

    def stop(self, stack: Stack, names: Collection[str], report: Report) -> None:
        """Stop what is running; data stays."""

    def volumes(self, stack: Stack) -> list[Volume]:
        """The data that there is, of this project alone."""

    def delete_data(self, stack: Stack) -> None:
        """Delete the data of a stopped stack: what `volumes` lists, and what belongs to it."""

    def states(self, stack: Stack) -> list[ServiceState]:
        """Every service's state, in start order."""

    def entries(self, stack: Stack, names: Collection[str], asked: Asked, *, follow: bool) -> Iterator[Entry]:
        """What was asked for of those services' logs, in the order of time; CLI among `names` is jeex' own.

        With `follow` then every new entry as it comes, until the caller stops.
        """

    def mentions(self, stack: Stack, text: str) -> Iterator[Entry]:
        """Every entry of every log, jeex' own among them, in which `text` stands."""
