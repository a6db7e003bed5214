"""Secrets in Vault: looked at, written, deleted, brought back. No value leaves but those that were asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jeex_cli.errors import JeexError
from jeex_cli.ops import secret_rules as rules
from jeex_cli.ops import setting_rules, vault
from jeex_cli.ops.configuration import MASK
from jeex_cli.ops.secret_rules import Value
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.secret_store import Metadata, SecretStore, VersionInfo

_MAX_AGE = "max_age"  # the note that holds it


@dataclass(frozen=True, slots=True)
class Entry:
    """A path without its values. `age` is the newest version's, in seconds; `managed` by jeex; `due` when too old."""

    path: str
    version: int
    created_at: datetime
    age: float
    deleted: bool
    managed: bool
    max_age: str | None
    due: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One version of a secret. `fields` are masked, unless they were to be revealed."""

    path: str
    version: int
    newest: int
    created_at: datetime
    fields: Mapping[str, str]
    revealed: bool

    def __repr__(self) -> str:
        return f"Shown({self.path}, version={self.version})"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a path. `changed` is False where it was as wanted before."""

    path: str
    version: int
    changed: bool
    max_age: str | None = None


def list_all(session: Session, prefix: str | None = None) -> list[Entry]:
    """Every secret at `prefix` and below it, by path. Raises UsageError, Unhealthy."""
    root = rules.checked_prefix(prefix)
    with vault.secrets(session) as store:
        return entries(store, root)


def entries(store: SecretStore, root: str = rules.ROOT) -> list[Entry]:
    """Every secret at `root`, a path of the engine, and below it."""
    paths = _below(store, root) if root == rules.ROOT else [root, *_below(store, root)]
    now = datetime.now(UTC)
    found = [(path, store.metadata(path)) for path in sorted(set(paths))]
    return [_entry(path, about, now) for path, about in found if about is not None and about.versions]


def get(session: Session, path: str, field: str | None = None, *, version: int | None = None, reveal: bool = False) -> Shown:
    """A version of a secret, the newest by default; of its fields that one, or all.

    Raises JeexError: SECRET_UNKNOWN, SECRET_DELETED; UsageError, Unhealthy.
    """
    where = rules.checked(path)
    with vault.secrets(session) as store:
        about = _known(store, where)
        one = _version(where, about, version)
        if one.deleted_at is not None or one.destroyed:
            raise _gone(path, one)
        found = store.get(where, one.version)
        if found is None:  # between the two questions
            raise _gone(path, one)
    if field is not None and field not in found.values:
        raise JeexError(
            f"{path} has no field {field}",
            code="SECRET_UNKNOWN",
            detail=f"Its fields: {', '.join(sorted(found.values))}",
            hint=_jeex("get", path),
        )
    fields = {name: found.values[name] if reveal else MASK for name in sorted(found.values) if field in (None, name)}
    return Shown(path, found.version, about.current, found.created_at, fields, reveal)


def put(
    session: Session,
    path: str,
    field: str,
    value: Value,
    *,
    max_age: str | None = None,
    if_version: int | None = None,
) -> Written:
    """Write one field; the others stay. `if_version` is the newest version that there must be, 0 for none.

    Raises UsageError, Unhealthy; JeexError, SECRET_CHANGED, when somebody else wrote meanwhile: then nothing is written.
    """
    where, name, age = writable(path), rules.checked_field(field), rules.checked_age(max_age)
    if path == setting_rules.PATH:
        setting_rules.check(name, value)
    with vault.secrets(session, {"SECRET_CHANGED": _jeex("get", path)}) as store:
        return write(store, where, {name: value.text}, max_age=age, if_version=if_version)


def writable(path: str) -> str:
    """`path` as Vault's engine has it. Raises UsageError where it cannot be one, or where jeex writes itself."""
    where = rules.checked(path)
    rules.refuse_managed(path)
    return where


def write(
    store: SecretStore,
    where: str,
    fields: Mapping[str, str],
    *,
    max_age: str | None = None,
    if_version: int | None = None,
    keep: bool = True,
) -> Written:
    """Write `fields` to `where`, a path of the engine, unless they stand there; the others stay if `keep`.

    Raises Conflict where the newest version is not `if_version`, or is another by now.
    """
    from service.adapters.secret_store import changed

    about = store.metadata(where)
    seen = about.current if about else 0
    if if_version not in (None, seen):
        raise changed(where)
    found = store.get(where, seen) if seen else None
    before = dict(found.values) if found else {}
    values = {**(before if keep else {}), **fields}
    is_new = found is None or values != before
    version = store.put(where, values, seen=seen) if is_new else seen
    notes = dict(about.notes) if about else {}
    if max_age is not None:
        wanted = {name: text for name, text in notes.items() if name != _MAX_AGE}
        if max_age != rules.NEVER:
            wanted[_MAX_AGE] = max_age
        if wanted != notes:
            store.annotate(where, wanted)
            notes, is_new = wanted, True
    return Written(rules.shown(where), version, is_new, notes.get(_MAX_AGE))


def describe(session: Session, path: str) -> Entry:
    """What would be deleted: the newest version at `path`. Raises as `get` does, but not for one that is deleted."""
    where = writable(path)
    with vault.secrets(session) as store:
        return _entry(where, _known(store, where), datetime.now(UTC))


def delete(session: Session, path: str, *, version: int | None = None) -> Written:
    """Make a version unreadable, the newest by default; `restore` brings it back. Raises as `get` does."""
    where = writable(path)
    with vault.secrets(session) as store:
        one = _version(where, _known(store, where), version)
        is_there = one.deleted_at is None and not one.destroyed
        if is_there:
            store.delete(where, [one.version])
    return Written(path, one.version, is_there)


def restore(session: Session, path: str, *, version: int | None = None) -> Written:
    """Bring a deleted version back, the newest by default. Raises as `get` does; SECRET_DESTROYED where that cannot be."""
    where = writable(path)
    with vault.secrets(session) as store:
        one = _version(where, _known(store, where), version)
        if one.destroyed:
            raise _gone(path, one)
        if one.deleted_at is not None:
            store.undelete(where, [one.version])
    return Written(path, one.version, one.deleted_at is not None)


def _below(store: SecretStore, folder: str) -> list[str]:
    found = []
    for name in store.names(folder):
        path = f"{folder}/{name}"
        found += _below(store, path.removesuffix("/")) if name.endswith("/") else [path]
    return found


def _entry(path: str, about: Metadata, now: datetime) -> Entry:
    newest = about.versions[-1]
    age = (now - newest.created_at).total_seconds()
    max_age = about.notes.get(_MAX_AGE)
    limit = rules.parsed_age(max_age)
    name, gone = rules.shown(path), newest.deleted_at is not None or newest.destroyed
    is_due = limit is not None and not gone and age > limit.total_seconds()
    return Entry(name, about.current, newest.created_at, age, gone, rules.is_managed(name), max_age, is_due)


def _known(store: SecretStore, where: str) -> Metadata:
    about = store.metadata(where)
    if about is None or not about.versions:
        raise JeexError(f"there is no secret {rules.shown(where)}", code="SECRET_UNKNOWN", hint="jeex secrets list")
    return about


def _version(where: str, about: Metadata, number: int | None) -> VersionInfo:
    for one in about.versions:
        if one.version == (about.current if number is None else number):
            return one
    path = rules.shown(where)
    raise JeexError(
        f"there is no version {number} of {path}",
        code="SECRET_UNKNOWN",
        detail=f"Those that are kept: {', '.join(str(one.version) for one in about.versions)}",
        hint=_jeex("get", path),
    )


def _gone(path: str, one: VersionInfo) -> JeexError:
    if one.destroyed:
        return JeexError(
            f"version {one.version} of {path} is destroyed: nobody can bring it back",
            code="SECRET_DESTROYED",
            hint=_jeex("set", path),
        )
    return JeexError(
        f"version {one.version} of {path} is deleted",
        code="SECRET_DELETED",
        hint=_jeex("restore", path, "--version", str(one.version)),
    )


def _jeex(*arguments: str) -> str:
    return shlex.join(["jeex", "secrets", *arguments])
