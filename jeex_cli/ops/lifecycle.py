"""Starting and stopping the stack."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from jeex_cli import environment_file, state
from jeex_cli.errors import ConfigError, DataError, NotReady, StateError, TimedOut, Unhealthy
from jeex_cli.events import Step
from jeex_cli.ops import ports
from jeex_cli.runtimes.base import ServiceState
from jeex_cli.session import Session
from jeex_cli.settings import is_secret, to_remember
from jeex_cli.state import State

_GRACE = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class StackReport:
    """The whole stack: which runtime runs it, each service, and how long the command took in seconds.

    `took` is how long each service took to start, for those that this command started.
    """

    runtime: str
    services: list[ServiceState]
    seconds: float
    took: dict[str, float] = field(default_factory=dict)


def up(session: Session, names: Collection[str] = ()) -> StackReport:
    """Start what is not running and wait until it is healthy. A second `up` changes nothing.

    Raises NotReady, ConfigError, DataError, PortInUse before anything starts; Unhealthy, TimedOut after.
    """
    from jeex_cli.ops import vault_seal

    began = time.monotonic()
    _ = session.stack.services, session.state  # what cannot be read is refused before anything is written
    _select(session, names)
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        if (session.project.folder / "switch").exists():  # a switch of runtimes that was killed
            from jeex_cli.ops import switch

            switch.recover(session)
        session = _ready_to_start(session, names)  # what was read before the lock was held may have changed
        runtime = session.runtime
        state.save(session.project, State(runtime.name, {**session.state.variables, **to_remember(session.environ)}))
        if not names and (missing := runtime.left_out(session.stack)):
            session.output.note(f"left out, for it runs in Docker only: {', '.join(missing)}")
        took: dict[str, float] = {}

        def report(step: Step) -> None:
            if step.status == "done" and step.seconds is not None:
                took[step.id] = round(step.seconds, 3)
            session.output.step(step)

        with vault_seal.opening(session):
            runtime.start(session.stack, names, report, timeout=session.timeout)
        return replace(_report(session, began), took=took)


def down(session: Session, *, delete_data: bool = False) -> StackReport:
    """Stop everything. Data stays unless `delete_data`. Nothing running is a success."""
    began = time.monotonic()
    if not session.project.folder.exists() and all(one.status == "stopped" for one in _report(session, began).services):
        return _report(session, began)
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        session.runtime.stop(session.stack, (), session.output.step)
        if delete_data:
            session.runtime.delete_data(session.stack)
        if session.project.state_file.exists():
            remembered = session.state.runtime
            if remembered in (None, session.runtime.name):
                state.save(session.project, State(None if delete_data else remembered))
        return _report(session, began)


def restart(session: Session, names: Collection[str] = ()) -> StackReport:
    """Stop and start, everything or `names` alone."""
    _select(session, names)
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        session.runtime.stop(session.stack, names, session.output.step)
    return up(session, names)


def status(session: Session) -> StackReport:
    """How every service is, at this moment."""
    return _report(session, time.monotonic())


def wait(session: Session, names: Collection[str] = ()) -> StackReport:
    """Return once `names` (or all services) are healthy.

    Raises TimedOut, or Unhealthy at once where a service cannot become healthy any more without a command.
    """
    began = time.monotonic()
    _select(session, names)
    while True:
        report = _report(session, began, names)
        if all(service.ok for service in report.services):
            return report
        dead = [service for service in report.services if service.status in ("crashed", "failed", "stopped")]
        # A moment of grace: `jeex up & jeex wait` is how scripts begin.
        if dead and time.monotonic() - began > _GRACE and not state.busy(session.project):
            raise Unhealthy(
                f"{dead[0].title} is {dead[0].status}" + (f": {dead[0].detail}" if dead[0].detail else ""),
                hint="jeex up",
            )
        if time.monotonic() - began > session.timeout:
            late = ", ".join(service.title for service in report.services if not service.ok)
            raise TimedOut(f"not healthy after {session.timeout:g} s: {late}", hint="jeex status; jeex logs")
        time.sleep(0.1)


def _ready_to_start(session: Session, names: Collection[str]) -> Session:
    """The session with a runtime that has everything it needs. Where `auto` has chosen Docker and that does not work, it is
    the other one. Raises NotReady, DataError, PortInUse."""
    try:
        session.runtime.check(session.stack, names)
        ports.refuse(session.runtime.taken_ports(session.stack, names))
        session = _with_environment_file(session)
        session.runtime.obtain(session.stack, names, session.output.step, timeout=session.timeout)
    except NotReady as error:
        if session.choice.sure or isinstance(error, ConfigError | StateError | DataError):
            raise
        other = replace(session, forced="embedded")
        try:
            other.runtime.check(other.stack, names)
        except NotReady:
            raise error from None  # neither works: the first reason is the one to mend
        session.output.note(f"without Docker, for {error.message}")
        return _ready_to_start(other, names)
    return session


def _select(session: Session, names: Collection[str]) -> None:
    """Raise UsageError for a name that is no service."""
    for name in names:
        session.stack.service(name)


def _with_environment_file(session: Session) -> Session:
    """The session with every secret set; read anew if that changed `.env`."""
    added = environment_file.ensure(session.project, session.project_file, session.environ)
    if not added:
        return session
    if secrets := [name for name in added if is_secret(name)]:
        session.output.note(f"{len(secrets)} secrets generated in {session.project.env_file.name} (mode 0600)")
    return session.anew()


def _report(session: Session, began: float, names: Collection[str] = ()) -> StackReport:
    services = [one for one in session.runtime.states(session.stack) if not names or one.name in names]
    return StackReport(session.runtime.name, services, round(time.monotonic() - began, 3))
