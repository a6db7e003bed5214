"""Starting and stopping the stack."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from jeex_cli import checkouts, state
from jeex_cli.errors import ConfigError, DataError, JeexError, NotReady, StateError, TimedOut, Unhealthy
from jeex_cli.events import Step
from jeex_cli.ops import queue_depth
from jeex_cli.ops.queue_depth import QueueDepth
from jeex_cli.runtimes.base import ServiceState
from jeex_cli.session import Session
from jeex_cli.settings import is_secret, to_remember

_GRACE = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class StackReport:
    """The whole stack: which runtime runs it, each service, and how long the command took in seconds.

    `took` is how long each service took to start, for those that this command started. `moved` are the ports that were asked
    for, of the services that have another one because it was taken. `queue` is how long that of jobs is, `snapshot` the
    folder of what was saved before data was deleted.
    """

    runtime: str
    services: list[ServiceState]
    seconds: float
    took: dict[str, float] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    queue: QueueDepth | None = None  # where it can be told
    snapshot: str | None = None


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
        session = _with_block(session)  # what was read before the lock was held may have changed
        session = _with_block(_ready_to_start(session, names))  # once more: by now it has a name
        runtime = session.runtime
        variables = {**session.state.variables, **to_remember(session.environ)}
        state.save(session.project, replace(session.state, runtime=runtime.name, variables=variables))
        if (session.project.folder / "restore.json").exists():  # a restore that was killed
            from jeex_cli.ops import restore

            restore.recover(session)
        if not names and (missing := runtime.left_out(session.stack)):
            session.output.note(f"left out, for it runs in Docker only: {', '.join(missing)}")
        took: dict[str, float] = {}

        def report(step: Step) -> None:
            if step.status == "done" and step.seconds is not None:
                took[step.id] = round(step.seconds, 3)
            session.output.step(step)

        try:
            with vault_seal.opening(session):
                runtime.start(session.stack, names, report, timeout=session.timeout)
        except (Unhealthy, TimedOut) as error:
            raise _explained(session, error) from error
        return replace(_report(session, began), took=took)


def down(session: Session, *, delete_data: bool = False, snapshot: bool = True) -> StackReport:
    """Stop everything. Data stays unless `delete_data`; then it is saved first where the databases run, unless `snapshot`
    says otherwise. Nothing running is a success. Raises NotReady, JeexError where it cannot be saved: then nothing was
    stopped.
    """
    began = time.monotonic()
    if not session.project.folder.exists() and all(one.status == "stopped" for one in _report(session, began).services):
        return _report(session, began)
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        saved = _saved(session) if delete_data and snapshot else None
        session.runtime.stop(session.stack, (), session.output.step)
        if delete_data:
            session.runtime.delete_data(session.stack)
            (session.project.folder / "restore.json").unlink(missing_ok=True)
        if session.project.state_file.exists():
            remembered = session.state.runtime
            if remembered in (None, session.runtime.name):
                kept = replace(session.state, runtime=remembered, variables={})
                state.save(session.project, replace(kept, runtime=None, tenant=None) if delete_data else kept)
        return replace(_report(session, began), snapshot=saved)


def restart(session: Session, names: Collection[str] = ()) -> StackReport:
    """Stop and start, everything or `names` alone."""
    _select(session, names)
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        session.runtime.stop(session.stack, names, session.output.step)
    return up(session, names)


def status(session: Session) -> StackReport:
    """How every service is, at this moment. Of one that runs and does not work, doctor says why."""
    began = time.monotonic()
    depth = queue_depth.asked(session)  # of the API, while the engine tells how the containers are
    report = _report(session, began)
    report = replace(report, queue=depth(report.services), seconds=round(time.monotonic() - began, 3))
    sick = [one.name for one in report.services if one.status == "unhealthy"]
    if not sick:
        return report
    from jeex_cli.ops.doctor import examine

    causes = examine.causes(session, sick)
    services = [replace(one, detail=causes[one.name].summary) if one.name in causes else one for one in report.services]
    return replace(report, services=services, seconds=round(time.monotonic() - began, 3))


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
            error = Unhealthy(
                f"{dead[0].title} is {dead[0].status}" + (f": {dead[0].detail}" if dead[0].detail else ""),
                hint="jeex up",
            )
            raise error if dead[0].status == "stopped" else _explained(session, error)
        if time.monotonic() - began > session.timeout:
            late = ", ".join(service.title for service in report.services if not service.ok)
            raise TimedOut(f"not healthy after {session.timeout:g} s: {late}", hint="jeex status; jeex logs")
        time.sleep(0.1)


def _saved(session: Session) -> str | None:
    """The folder of a snapshot of what is about to be deleted; None where there is nothing to save, or it cannot be read."""
    from jeex_cli.ops import carry, snapshots

    if not snapshots.wanted(session):
        session.output.note("no snapshot is made: JEEX_SNAPSHOT_KEEP is 0")
        return None
    if missing := snapshots.stopped(session):
        if session.runtime.volumes(session.stack):
            session.output.note(f"no snapshot is made, for {' and '.join(missing)} did not run")
        return None
    try:
        if carry.is_fresh(carry.stores(session)):
            return None
        return str(snapshots.save(session, reason="before its data was deleted").folder)
    except JeexError as error:
        error.detail = f"{error.detail}\nNothing was stopped or deleted, for it could not be saved.".strip()
        error.hint = f"{error.hint}; or go without: jeex down --delete-data --no-snapshot".removeprefix("; or go without: ")
        raise


def _explained(session: Session, error: Unhealthy | TimedOut) -> JeexError:
    """`error` in the words of doctor, where a finding explains it."""
    from jeex_cli.ops.doctor import examine

    try:
        states = session.runtime.states(session.stack)
    except JeexError:
        return error
    return examine.explained(session, [one.name for one in states if not one.ok and one.status != "stopped"], error)


def _ready_to_start(session: Session, names: Collection[str]) -> Session:
    """The session with a runtime that has everything it needs. Where `auto` has chosen Docker and that does not work, it is
    the other one. Raises NotReady, DataError, PortInUse."""
    from jeex_cli.ops import ports  # what `up` alone needs is not imported by `status`
    from jeex_cli.ops.doctor import examine

    try:
        examine.refuse(session, names)
        session.runtime.check(session.stack, names)
        session = ports.settled(session, names)
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


def _with_block(session: Session) -> Session:
    """The session of a checkout that owns a block of ports; written down for all of this user's checkouts."""
    block = checkouts.claim(
        checkouts.registry(session.environ),
        session.project.root,
        wanted=session.state.block,
        name=session.stack.project,
        instance=session.settings.given("JEEX_INSTANCE") or "",
    )
    if block == session.state.block:
        return session
    if block != checkouts.FIRST:
        last = block + checkouts.SIZE - 1
        session.output.note(f"ports {block}-{last}: another checkout of yours has {checkouts.FIRST} (jeex ports)")
    state.save(session.project, replace(session.state, block=block))
    return session.anew()


def _select(session: Session, names: Collection[str]) -> None:
    """Raise UsageError for a name that is no service."""
    for name in names:
        session.stack.service(name)


def _with_environment_file(session: Session) -> Session:
    """The session with every secret set; read anew if that changed `.env`."""
    from jeex_cli import environment_file

    added = environment_file.ensure(session.project, session.project_file, session.environ)
    if not added:
        return session
    if secrets := [name for name in added if is_secret(name)]:
        session.output.note(f"{len(secrets)} secrets generated in {session.project.env_file.name} (mode 0600)")
    return session.anew()


def _report(session: Session, began: float, names: Collection[str] = ()) -> StackReport:
    services = [one for one in session.runtime.states(session.stack) if not names or one.name in names]
    moved = {name: port for name, port in session.moved.items() if not names or name in names}
    return StackReport(session.runtime.name, services, round(time.monotonic() - began, 3), moved=moved)
