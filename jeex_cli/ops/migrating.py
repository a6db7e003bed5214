"""Bringing the schema up: plan, lint, snapshot, revisions, and a look at what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jeex_cli import state
from jeex_cli.errors import JeexError, PartialFailure, UsageError
from jeex_cli.events import Step
from jeex_cli.ops import database
from jeex_cli.ops.failures import translated
from jeex_cli.session import Session

if TYPE_CHECKING:
    from migrations.drift import Difference
    from migrations.lint import Problem
    from migrations.revisions import Revision
    from migrations.runner import Listener
    from service.core.errors import MigrationFailed


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revisions before and after, those that were applied, and the snapshot that was taken before ("" for none)."""

    before: str | None
    after: str | None
    applied: list[str] = field(default_factory=list)
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """From where to where, over which revisions, in the order in which they will be applied or taken back."""

    current: str | None
    target: str | None
    revisions: tuple[Revision, ...]


def plan(session: Session, target: str | None = None) -> Plan:
    """What `migrate` would apply. Raises UsageError for a revision that does not exist, JeexError for a database whose
    revision this installation does not know."""
    from migrations import runner

    with translated():
        found = runner.status(database.url(session, "owner"))
    line = runner.history()
    known = [one.id for one in line]
    if found.current is not None and found.current not in known:
        raise JeexError(
            f"the database is at revision {found.current}, which this version of the platform does not know",
            code="REVISION_UNKNOWN",
            hint="use the version that migrated it, or a newer one",
        )
    wanted = known.index(resolve(target or "head"))
    here = known.index(found.current) if found.current else -1
    return Plan(found.current, known[wanted], line[here + 1 : wanted + 1])


def resolve(target: str) -> str:
    """A revision's id for what the user named: "head", or an id. Raises UsageError."""
    from migrations import revisions

    known = [one.id for one in revisions.history()]
    if target == "head":
        return known[-1]
    if target not in known:
        raise UsageError(
            f"there is no revision {target!r}; there are {', '.join(known)}", code="REVISION_UNKNOWN", hint="jeex db history"
        )
    return target


def script(planned: Plan) -> str:
    """The SQL of a plan, as psql could run it."""
    from migrations import offline

    return offline.script(offline.upgrade(planned.current, planned.target or "")) if planned.revisions else ""


def migrate(session: Session, target: str | None = None, *, lint: bool = True) -> Migrated:
    """Bring the database to `target` (the newest revision). Twice is the same as once.

    Raises Unhealthy where it is away; JeexError where lint finds something, before anything is changed, or where a revision
    fails, saying where it stands; PartialFailure where what came of it is not what the models say.
    """
    from migrations import runner

    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        planned = plan(session, target)
        if not planned.revisions:
            return Migrated(planned.current, planned.current)
        announce(session, planned)
        if lint:
            _lint(session, planned)
        # An empty database has nothing to lose.
        snapshot = database.snapshot_before(session, "db migrate") if planned.current else None
        url = database.url(session, "owner")
        try:
            with translated():
                result = runner.upgrade(url, planned.target or "head", listener=listener(session))
        except JeexError as error:
            raise explained(session, error, planned, snapshot) from error
        done = Migrated(result.before, result.after, [one.id for one in result.applied], snapshot or "")
        if result.after == runner.head():
            _verify(session, done)
        return done


def announce(session: Session, planned: Plan, verb: str = "apply") -> None:
    """Say what will be done, before it is."""
    session.output.note(
        f"{verb} {len(planned.revisions)} from {planned.current or 'nothing'} to {planned.target or 'nothing'}:"
    )
    for one in planned.revisions:
        session.output.note(f"  {one.id}  {one.message}")


def listener(session: Session) -> Listener:
    """Progress, a step for each revision."""
    from migrations.runner import Listener

    began = time.monotonic()

    def begins(revision: Revision) -> None:
        nonlocal began
        began = time.monotonic()
        session.output.step(Step(revision.id, revision.id, "running"))

    def ended(revision: Revision) -> None:
        session.output.step(Step(revision.id, revision.id, "done", time.monotonic() - began, revision.message))

    def waits(seconds: float, holders: Sequence[str]) -> None:
        session.output.note(f"a table is in use; tried again in {seconds:.1f} s")
        for one in holders:
            session.output.note(f"  {one}")

    return Listener(begins, ended, waits)


def _lint(session: Session, planned: Plan) -> None:
    began = time.monotonic()
    found = problems(planned.revisions)
    if found:
        raise JeexError(
            f"{len(found)} statements would be unsafe on a database in use; nothing was changed",
            code="LINT",
            detail="\n".join(one.line for one in found),
            hint="mend the revision (jeex db lint), or apply it as it is: jeex db migrate --no-lint",
            data={"problems": found},
        )
    session.output.step(Step("lint", "lint", "done", time.monotonic() - began, "nothing that holds up a table in use"))


def problems(revisions: Sequence[Revision]) -> tuple[Problem, ...]:
    """What lint objects to. Raises JeexError where squawk is there and does not work."""
    from migrations import lint

    try:
        return lint.lint(revisions)
    except OSError as error:
        raise JeexError(
            f"squawk does not work: {error}",
            code="LINT_FAILED",
            hint="pip install --force-reinstall squawk-cli, or remove it",
        ) from error


def _verify(session: Session, done: Migrated) -> None:
    began = time.monotonic()
    found = differences(session, server=False)  # roles and the like are not of its making
    if found:
        raise PartialFailure(
            f"the database is at {done.after}, but its schema is not what the models say",
            code="SCHEMA_DRIFT",
            detail="\n".join(one.line for one in found),
            hint="jeex db check says how to mend it",
            data={**_plain(done), "differences": found},
        )
    session.output.step(Step("verify", "verify", "done", time.monotonic() - began, "the schema is what the models say"))


def differences(session: Session, *, server: bool = True) -> tuple[Difference, ...]:
    """Where the live schema is not what the models say; with `server` also roles, and who may do what with the database."""
    from migrations import drift, runner

    with translated():
        return runner.inspect(database.url(session, "owner"), drift.look if server else drift.look_at_schema)


def _plain(done: Migrated) -> dict[str, object]:
    return {"before": done.before, "after": done.after, "applied": done.applied, "snapshot": done.snapshot}


def explained(session: Session, error: JeexError, planned: Plan, snapshot: str | None) -> JeexError:
    """`error` with exactly where the database stands, and the way back."""
    from migrations import runner
    from service.core.errors import MigrationFailed, Unavailable

    cause = error.__cause__
    if not isinstance(cause, MigrationFailed) or not (cause.revision or cause.applied):
        return error
    try:
        found = runner.status(database.url(session, "owner"))
    except Unavailable:
        return error  # what it says is the reason for this too
    lines = _lines(cause, found.current, found.invalid)
    if snapshot:
        lines.append(f"a snapshot was taken before: {snapshot}")
    back = f"jeex db rollback --to {planned.current or 'base'}" if found.current != planned.current else ""
    if snapshot:
        back = f"jeex snapshot restore {snapshot}"
    again = error.hint if error.code == "MIGRATION_LOCK_TIMEOUT" else "mend the cause, then run the same command again"
    return type(error)(
        f"revision {cause.revision} failed: {error.message}" if cause.revision else error.message,
        code=error.code,
        detail="\n".join(lines),
        hint=again + (f"; or go back to where it was: {back}" if back else ""),
        data={
            "revision": cause.revision,
            "statement": cause.statement,
            "applied": list(cause.applied),
            "kept_statements": cause.kept,
            "current": found.current,
            "before": planned.current,
            "invalid_indexes": list(found.invalid),
            "holders": list(cause.holders),
            "snapshot": snapshot or "",
        },
    )


def _lines(cause: MigrationFailed, current: str | None, invalid: Sequence[str]) -> list[str]:
    statement = cause.statement if len(cause.statement) <= 300 else cause.statement[:299] + "…"
    lines = [f"statement: {statement}"] if statement else []
    lines.append(f"applied before it, and kept: {', '.join(cause.applied) or 'none'}")
    kept = f"{cause.kept} statements stay, and are passed over the next time" if cause.kept else "nothing stays"
    lines.append(f"the database is at {current or 'no revision'}; of {cause.revision} {kept}")
    lines += [f"index {name} was broken off halfway: nothing reads it, and the next run makes it anew" for name in invalid]
    return [*lines, *cause.holders]
