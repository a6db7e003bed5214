"""Moving a project from one runtime to the other, with its data or without. The source's data is never changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jeex_cli import environment_file, state
from jeex_cli.errors import Interrupted, JeexError, NotReady
from jeex_cli.ops import carry, carry_database, ports, restore_journal, switch_record, switch_refusals
from jeex_cli.ops.carry import Saved
from jeex_cli.ops.switch_record import Record
from jeex_cli.runtimes import pick
from jeex_cli.runtimes.base import Runtime
from jeex_cli.session import Session
from jeex_cli.settings import to_remember

_NAMES = ("compose", "embedded")
_AS_LONG_AS_IT_TAKES = 7 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Carried:
    """What came along. `old_logins` counts logins of Vault's that ended with the source: nobody had given them back."""

    tables: int
    rows: int
    keys: int
    old_logins: int


@dataclass(frozen=True, slots=True)
class Switched:
    """`kept` names the data that stays with the runtime before, `delete_kept` is the command that deletes it."""

    runtime: str
    before: str
    changed: bool
    carried: Carried | None = None
    kept: list[str] = field(default_factory=list)
    delete_kept: str = ""
    seconds: float = 0.0


def switch(session: Session, target: str, *, carry_data: bool) -> Switched:
    """Make `target` the runtime of this project. Without `carry_data` the stack is stopped and all data stays where it is;
    with it everything runs on the target afterwards, with the same data.

    Whatever fails, and Ctrl-C, leaves the project with the runtime that it had. Raises ConfigError where a setting decides,
    DataError where the target has data, NotReady, JeexError.
    """
    began = time.monotonic()
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        switch_refusals.setting(session, target)
        recover(session)
        restore_journal.refuse_unfinished(session.project)
        before = session.state.runtime if session.state.runtime in _NAMES else session.choice.name
        if before == target:
            if session.state.runtime != target:
                state.save(session.project, replace(session.state, runtime=target))
            return Switched(target, before, changed=False)
        source, other = pick.made(session.place, before), pick.made(session.place, target)
        carried = _with_data(session, source, other) if carry_data else None
        if carried is None:
            other.check(session.stack, ())
            _leave(session, source)
        state.save(
            session.project,
            replace(session.state, runtime=target, variables={**session.state.variables, **to_remember(session.environ)}),
        )
        switch_record.remove(session.project)
        kept = _data(session, source)
        delete = f"JEEX_RUNTIME={before} jeex down --delete-data" if kept else ""
        return Switched(target, before, True, carried, kept, delete, round(time.monotonic() - began, 3))


def recover(session: Session) -> None:
    """Clear away what a switch that was killed has left, if there was one: the project goes on with the runtime that it
    remembers. For commands that hold the lock; never fails, for what it clears away may be out of reach for now."""
    if not switch_record.folder(session.project).exists():
        return
    record = switch_record.read(session.project)
    # Remembered as the last act: then all was done but to tidy up.
    if record is None or record.target == session.state.runtime:
        switch_record.remove(session.project)
        return
    session.output.note(f"a switch to {record.target} was broken off: what it had copied there is deleted")
    try:
        _clear(session, pick.made(session.place, record.target), record)
    except JeexError as error:
        session.output.note(f"not yet, for {error.message}")


def _leave(session: Session, source: Runtime) -> None:
    """Stop what runs there. A runtime that does not work any more is no reason to stay with it."""
    try:
        source.stop(session.stack, (), session.output.step)
    except NotReady as error:
        session.output.note(f"nothing was stopped in {source.name}: {error.message}")


def _data(session: Session, runtime: Runtime) -> list[str]:
    """The names of its data; none where it does not work."""
    try:
        return [one.name for one in runtime.volumes(session.stack)]
    except NotReady:
        return []


def _with_data(session: Session, source: Runtime, target: Runtime) -> Carried | None:
    """Bring everything to the target and start it there; None where the source has nothing to bring."""
    stack = session.stack
    switch_refusals.other_vault(session)
    stores = carry.stores(session)
    for runtime in (source, target):
        runtime.check(stack, ())
    switch_refusals.data(session, target)
    if not any(one.service == "postgres" for one in source.volumes(stack)):
        session.output.note(f"{source.name} has no data to carry")
        return None
    if environment_file.ensure(session.project, session.project_file, session.environ):
        session = session.anew()
        stores = carry.stores(session)
        source, target = (pick.made(session.place, one.name) for one in (source, target))
    target.obtain(stack, (), session.output.step, timeout=session.timeout)
    if missing := target.left_out(stack):
        session.output.note(f"left out, and not carried: {', '.join(missing)}")

    record = switch_record.begin(session.project, source.name, target.name)

    def remember(new: Record) -> None:
        nonlocal record
        record = new
        record.write(session.project)

    try:
        saved = _copy(session, source, stores)
        remember(replace(record, facts=saved.facts))
        _fill(session, target, stores, lambda stage: remember(replace(record, stage=stage)), saved)
    except BaseException as error:
        raise _undone(session, source, target, record, error) from error
    return Carried(len(saved.facts), saved.rows, saved.keys, len(saved.old_logins))


def _copy(session: Session, source: Runtime, stores: carry.Stores) -> Saved:
    """Stop the source; what it knows is in the record's folder afterwards."""
    stack, report = session.stack, session.output.step
    others = [one.name for one in stack.services if one.name not in carry.SERVICES]
    session.output.note(f"{source.name}: everything but the databases ends")
    # Each process gives its logins and its token back while Vault is still there.
    source.stop(stack, others, report)
    ports.refuse(session, source.taken_ports(stack, carry.SERVICES))
    source.start(stack, carry.SERVICES, report, timeout=session.timeout)
    folder = switch_record.folder(session.project)
    with carry.saved(stores, folder, report, timeout=_patience(session)) as saved:
        if saved.old_logins:
            session.output.note(
                f"{len(saved.old_logins)} logins of Vault's were not given back (v-…); they are not carried, "
                "and Vault forgets them when their time is up"
            )
        source.stop(stack, (), report)  # while it is held: what somebody would write now could not come along
    return saved


def _fill(session: Session, target: Runtime, stores: carry.Stores, at: Callable[..., None], saved: Saved) -> None:
    """Start the target, bring everything in, compare, and start the rest."""
    stack, report = session.stack, session.output.step
    session.output.note(f"{target.name}: the databases first")
    ports.refuse(session, target.taken_ports(stack, ()))
    at("filling")
    target.start(stack, carry.SERVICES, report, timeout=session.timeout)
    if not carry.is_fresh(stores):
        at("foreign")
        raise switch_refusals.has_data(target.name, [])
    folder = switch_record.folder(session.project)
    carry.load(stores, folder, report, timeout=_patience(session))
    carry.compare(stores, folder, saved.facts, report)
    carry_database.forget_audit_devices(stores.postgres)
    at("verified")
    target.start(stack, (), report, timeout=session.timeout)


def _undone(session: Session, source: Runtime, target: Runtime, record: Record, error: BaseException) -> BaseException:
    """`error` with what has become of the project, once what was made in the target is gone."""
    said = f"Nothing of {source.name} was changed: `jeex up` goes on with it."
    try:
        _clear(session, target, record)
    except JeexError as second:
        said += (
            f"\nWhat was made in {target.name} is still there ({second.message}); the next `jeex runtime switch` deletes it."
        )
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return Interrupted("interrupted", detail=said, hint="jeex up")
    if isinstance(error, JeexError):
        error.detail = f"{error.detail}\n{said}".strip()
        error.hint = error.hint or "jeex up"
    return error


def _clear(session: Session, target: Runtime, record: Record) -> None:
    """Stop the target, delete the data if it is this switch's own, and forget the switch."""
    if record.stage != "reading":
        target.stop(session.stack, (), session.output.step)
        if record.has_made_data:
            target.delete_data(session.stack)
    switch_record.remove(session.project)


def _patience(session: Session) -> float:
    """Seconds that the copy of a database may take: as many as were asked for, if any were."""
    given = session.settings.values["JEEX_TIMEOUT"].source != "default"
    return session.timeout if given else _AS_LONG_AS_IT_TAKES
