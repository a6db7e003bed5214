"""Going back to a snapshot. What there is is saved first. Killed or failed, it leaves the old data or the new, all of it.

The databases are filled under other names and verified, Redis is replaced, and one transaction renames the databases. Until
it has committed, the way back is to drop what was filled and to put Redis back from the snapshot of before.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from jeex_cli import state
from jeex_cli.errors import Interrupted, JeexError
from jeex_cli.ops import (
    carry,
    lifecycle,
    restore_journal,
    snapshot_database,
    snapshot_fit,
    snapshot_redis,
    snapshot_store,
    snapshots,
)
from jeex_cli.ops.restore_journal import Journal
from jeex_cli.ops.snapshot_manifest import Manifest
from jeex_cli.session import Session


@dataclass(frozen=True, slots=True)
class Restored:
    """`before` is the snapshot of what was there, None where there was nothing; `migrated` says whether migrations
    followed.
    """

    snapshot: Manifest
    before: str | None
    migrated: bool
    seconds: float


def restore(session: Session, name: str) -> Restored:
    """Have everything as it was in the snapshot `name`; the whole stack runs afterwards.

    Raises UsageError, DataError, NotReady before anything is touched. A restore that fails has changed nothing, unless its
    error says that `jeex up` finishes it.
    """
    began = time.monotonic()
    manifest = snapshot_store.read(session.project, name)
    snapshot_fit.check(session, manifest)
    vault = snapshots.vault_version(session)
    lifecycle.up(session, carry.SERVICES)  # which also finishes what an earlier one has left
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        before = _held(session, manifest, vault)
    migrated = snapshot_fit.is_behind(manifest)
    if migrated:
        session.output.note(f"the snapshot is at revision {manifest.head}: migrations follow")
    lifecycle.up(session.anew())
    return Restored(manifest, before or None, migrated, round(time.monotonic() - began, 3))


def recover(session: Session) -> None:
    """Bring a restore that was killed to its end, or take it back. For who holds the lock and is about to start everything.

    Raises JeexError where neither works.
    """
    journal = restore_journal.read(session.project)
    if journal is None or journal.runtime != session.runtime.name:
        return
    session.output.note(f"a restore of the snapshot {journal.snapshot} was broken off")
    session.runtime.start(session.stack, carry.SERVICES, session.output.step, timeout=session.timeout)
    _stop_others(session)
    stores = carry.stores(session)
    try:
        if journal.stage == "replacing" and snapshot_database.is_filled(stores.postgres):
            manifest = snapshot_store.read(session.project, journal.snapshot)
            snapshot_fit.check(session, manifest)
            _replace(session, stores, manifest)
    except JeexError as error:
        session.output.note(f"it cannot be finished: {error.message}")
        _back(session, stores, journal)
    else:
        _finish(session, stores)
        done = "finished" if journal.stage == "replacing" else "taken back: nothing had been changed"
        session.output.note(f"it is {done}")


def _held(session: Session, manifest: Manifest, vault: str) -> str:
    """The restore itself; the id of the snapshot of before."""
    stores = carry.stores(session)
    snapshot_fit.opens(session, manifest)  # `up` may just have made the keys
    snapshot_fit.server(manifest, stores.postgres, vault)
    session.output.note("everything but the databases ends")
    _stop_others(session)
    journal = Journal(manifest.id, "", session.runtime.name)
    try:
        if not carry.is_fresh(stores):
            saved = snapshots.save(session, reason=f"before going back to {manifest.id}", spare=manifest.id)
            journal = replace(journal, before=saved.snapshot.id)
        restore_journal.write(session.project, journal)
        _fill(session, stores, manifest)
        journal = replace(journal, stage="replacing")
        restore_journal.write(session.project, journal)
        _replace(session, stores, manifest)
    except BaseException as error:
        raise _undone(session, stores, journal, error) from error
    _finish(session, stores)
    return journal.before


def _fill(session: Session, stores: carry.Stores, manifest: Manifest) -> None:
    """Databases beside those in use, with everything that the snapshot has."""
    place = snapshot_store.folder(session.project) / manifest.id
    with carry.step(session.output.step, "fill-database", "Fill database"):
        snapshot_database.make(stores.postgres)
        snapshot_database.fill(stores.postgres, place, timeout=snapshots.patience(session))
    with carry.step(session.output.step, "compare", "Compare") as said:
        found = snapshot_database.new_rows(stores.postgres)
        if wrong := [name for name in sorted({*found, *manifest.rows}) if found.get(name) != manifest.rows.get(name)]:
            raise JeexError(
                f"{wrong[0]} has {found.get(wrong[0], 'no')} rows after the restore, and the snapshot "
                f"{manifest.rows.get(wrong[0], 'none')}",
                code="RESTORE_MISMATCH",
                hint="use another: jeex snapshot list",
            )
        said(f"{manifest.total_rows:,} rows")
    snapshot_database.forget_audit_devices(stores.postgres)


def _replace(session: Session, stores: carry.Stores, manifest: Manifest) -> None:
    """Redis, then the databases in one transaction. May be done again from any point before that."""
    place = snapshot_store.folder(session.project) / manifest.id
    with carry.step(session.output.step, "replace-redis", "Replace Redis") as said:
        snapshot_redis.replace(stores.redis, place)
        notes = Path(tempfile.mkdtemp(prefix="restore-", dir=session.project.folder))
        try:
            snapshot_redis.compare(manifest.redis, snapshot_redis.now(stores.redis, notes))
        finally:
            shutil.rmtree(notes, ignore_errors=True)
        said(f"{manifest.redis.keys:,} keys")
    with carry.step(session.output.step, "replace-database", "Replace database"):
        snapshot_database.swap(stores.postgres)


def _finish(session: Session, stores: carry.Stores) -> None:
    """What is left to do after the transaction; may be done again."""
    snapshot_database.settle(session, stores.postgres)
    snapshot_database.drop_new(stores.postgres)
    snapshot_database.drop_old(stores.postgres)
    restore_journal.remove(session.project)


def _back(session: Session, stores: carry.Stores, journal: Journal) -> None:
    """Everything as it was before, of a restore whose transaction has not committed."""
    if journal.stage == "replacing":
        place = snapshot_store.folder(session.project) / journal.before
        snapshot_redis.replace(stores.redis, place if journal.before else None)
    snapshot_database.drop_new(stores.postgres)
    restore_journal.remove(session.project)
    session.output.note("everything is as it was before")


def _undone(session: Session, stores: carry.Stores, journal: Journal, error: BaseException) -> BaseException:
    """`error` with what has become of the data."""
    try:
        if journal.stage == "replacing" and not snapshot_database.is_filled(stores.postgres):
            said = "The databases are those of the snapshot: `jeex up` finishes it."
        else:
            _back(session, stores, journal)
            said = "Nothing was changed: `jeex up` goes on with what there was."
    except JeexError as second:
        said = f"It was neither finished nor taken back ({second.message}): the next `jeex up` does that."
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return Interrupted("interrupted", detail=said, hint="jeex up")
    if isinstance(error, JeexError):
        error.detail = f"{error.detail}\n{said}".strip()
        error.hint = error.hint or "jeex up"
    return error


def _stop_others(session: Session) -> None:
    """Whatever could write. Each process gives its logins back while Vault is there."""
    others = [one.name for one in session.stack.services if one.name not in carry.SERVICES]
    session.runtime.stop(session.stack, others, session.output.step)
