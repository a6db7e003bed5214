"""Snapshots: everything that a stack knows at one moment, in a folder, verified; and what there is of them.

`save` is the seam for commands that destroy something. What a snapshot has of Vault is its storage, encrypted: the key stays
in `.env`, which no snapshot holds.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jeex_cli import __version__, loopback, state
from jeex_cli.errors import ConfigError, NotReady, UsageError
from jeex_cli.ops import (
    carry,
    carry_redis,
    restore_journal,
    snapshot_database,
    snapshot_manifest,
    snapshot_redis,
    snapshot_store,
)
from jeex_cli.ops.carry_database import DATABASES
from jeex_cli.ops.snapshot_manifest import FILES, File, Keys, Manifest
from jeex_cli.session import Session

_AS_LONG_AS_IT_TAKES = 7 * 86_400.0  # seconds
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot that was made. `removed` are automatic ones that went to make room for it."""

    snapshot: Manifest
    folder: Path
    removed: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A snapshot as `list` has it. Where `problem` says why it cannot be used, the rest is what is known."""

    id: str
    folder: Path
    created: str = ""
    automatic: bool = False
    reason: str = ""
    size: int = 0
    head: str | None = None
    runtime: str = ""
    problem: str = ""


def save_now(session: Session, *, reason: str) -> Saved:
    """What `jeex snapshot save` does: one that stays until it is deleted. Raises NotReady, JeexError."""
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        restore_journal.refuse_unfinished(session.project)
        return save(session.anew(), reason=reason, automatic=False)


def save(session: Session, *, reason: str, automatic: bool = True, spare: str = "") -> Saved:
    """Save what there is, under `.jeex/snapshots/`; `reason` is what people read. The caller holds the project's lock.

    Both databases are of one moment, and Redis is read while nobody can write to them. Requests go on meanwhile. The
    databases have to run. Automatic ones are pruned afterwards, `spare` excepted. It is there whole and verified, or this
    raises NotReady (the disk is full, nothing runs, a program is missing), JeexError, TimedOut.
    """
    began = time.monotonic()
    bounds = _bound(session, "JEEX_SNAPSHOT_KEEP"), _bound(session, "JEEX_SNAPSHOT_MIB")
    refuse_stopped(session)
    stores = carry.stores(session)
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with snapshot_store.made(session.project, name) as folder:
        manifest = _copied(session, stores, folder, name=name, now=now, reason=reason, automatic=automatic)
        with carry.step(session.output.step, "verify", "Verify") as said:
            snapshot_store.settle(folder)
            snapshot_database.listed(stores.postgres, folder)
            snapshot_redis.check(folder / snapshot_redis.COMMANDS)
            snapshot_store.verify(folder, manifest)
            said(f"{manifest.size / _MIB:,.1f} MiB")
        snapshot_store.write_manifest(folder, manifest)
    removed = []
    if automatic:
        removed = snapshot_store.prune(
            session.project,
            keep=bounds[0],
            most_bytes=bounds[1] * _MIB,
            spare=(spare, *restore_journal.names(session.project)),
        )
    place = snapshot_store.folder(session.project) / name
    return Saved(manifest, place, removed, round(time.monotonic() - began, 3))


def wanted(session: Session) -> bool:
    """Whether automatic snapshots are made at all. Raises ConfigError."""
    return _bound(session, "JEEX_SNAPSHOT_KEEP") > 0


def refuse_stopped(session: Session) -> None:
    """Raise NotReady unless both databases run."""
    if missing := stopped(session):
        raise NotReady(
            f"{' and '.join(missing)} must run to be saved",
            code="NOT_RUNNING",
            hint="jeex up " + " ".join(carry.SERVICES),
        )


def stopped(session: Session) -> list[str]:
    """The titles of those with the data that do not run."""
    return [
        one.title
        for one in session.runtime.states(session.stack)
        if one.name in carry.SERVICES and one.status not in ("running", "starting")
    ]


def list_all(session: Session) -> list[Listed]:
    """Every snapshot, newest first."""
    return [_listed(one) for one in reversed(snapshot_store.find_all(session.project))]


def show(session: Session, name: str) -> Manifest:
    """One of them, verified. Raises UsageError, DataError."""
    manifest = snapshot_store.read(session.project, name)
    snapshot_store.verify(snapshot_store.folder(session.project) / name, manifest)
    return manifest


def last_automatic(session: Session) -> Manifest:
    """What `jeex undo` goes back to. Raises UsageError where there is none."""
    for one in reversed(snapshot_store.find_all(session.project)):
        if one.manifest is not None and one.manifest.automatic:
            return one.manifest
    raise UsageError(
        "there is nothing to undo: no snapshot was made automatically yet", code="NOTHING_TO_UNDO", hint="jeex snapshot list"
    )


def delete(session: Session, name: str) -> None:
    """Delete one, even if it cannot be used. Raises UsageError, NotReady."""
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        if name not in [one.id for one in snapshot_store.find_all(session.project)]:
            raise UsageError(f"there is no snapshot {name}", code="SNAPSHOT_UNKNOWN", hint="jeex snapshot list")
        if name in restore_journal.names(session.project):
            restore_journal.refuse_unfinished(session.project)
        snapshot_store.remove(session.project, name)


def patience(session: Session) -> float:
    """Seconds that the copy of a database may take: as many as were asked for, if any were."""
    given = session.settings.values["JEEX_TIMEOUT"].source != "default"
    return session.timeout if given else _AS_LONG_AS_IT_TAKES


def key(session: Session) -> str:
    """What Vault's storage is opened with."""
    return session.settings.given("JEEX_VAULT_SEAL_KEY") or ""


def opens_with(session: Session) -> dict[str, str]:
    """Fingerprints of what a snapshot of this project needs, by name."""
    found = {name: session.settings.given(name) or "" for name in snapshot_manifest.KEYS}
    keys = session.project.folder / "vault-keys.json"
    if vault_kind(session) == "vault" and keys.exists():
        found[".jeex/vault-keys.json"] = keys.read_text(encoding="utf-8")
    return {name: snapshot_manifest.fingerprint(text, key(session)) for name, text in found.items()}


def vault_kind(session: Session) -> str:
    """Whose storage format it is: `openbao` or `vault`."""
    image = next((one.image for one in session.stack.services if one.name == "vault"), "bao")
    return "openbao" if session.runtime.name == "embedded" or "bao" in image else "vault"


def _copied(
    session: Session, stores: carry.Stores, folder: Path, *, name: str, now: datetime, reason: str, automatic: bool
) -> Manifest:
    """Write the files; what they are."""
    keys = Keys()

    def redis() -> None:
        nonlocal keys
        carry_redis.save(stores.redis, folder)
        keys = snapshot_redis.saved(folder)

    with carry.step(session.output.step, "copy", "Save snapshot") as said:
        with snapshot_database.at_one_point(stores.postgres, redis) as held:
            held.dump(folder, timeout=patience(session))
            rows = snapshot_database.rows(held.connections)
            head = snapshot_database.head(held.connections[DATABASES[0]])
        said(f"{sum(rows.values()):,} rows, {keys.keys:,} keys")
    return Manifest(
        id=name,
        created=now.isoformat(timespec="seconds"),
        jeex=__version__,
        reason=reason,
        automatic=automatic,
        runtime=session.runtime.name,
        project=session.stack.project,
        head=head,
        vault=vault_kind(session),
        versions={
            "postgresql": snapshot_database.version(stores.postgres),
            "redis": snapshot_redis.version(stores.redis),
            "vault": vault_version(session),
        },
        files={one: File((folder / one).stat().st_size, snapshot_store.checksum(folder / one)) for one in FILES},
        rows=rows,
        redis=keys,
        opens_with=opens_with(session),
    ).sealed(key(session))


def vault_version(session: Session) -> str:
    """ "" where it does not answer: its storage is saved all the same."""
    port = session.stack.service("vault").host_port
    try:
        answer = loopback.get(f"http://127.0.0.1:{port}/v1/sys/health", timeout=2)
        return str(json.loads(answer.body).get("version", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _bound(session: Session, name: str) -> int:
    value = session.settings.values[name]
    if not value.text.isdigit():
        raise ConfigError(
            f"{name} is {value.text!r} ({value.source}); it must be a whole number, 0 or more",
            hint=f"for example: {name}=10",
        )
    return int(value.text)


def _listed(one: snapshot_store.Found) -> Listed:
    found = one.manifest
    if found is None:
        return Listed(one.id, one.folder, problem=one.problem)
    return Listed(one.id, one.folder, found.created, found.automatic, found.reason, found.size, found.head, found.runtime)
