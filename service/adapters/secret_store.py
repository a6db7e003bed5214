"""What the platform needs of a vault's key-value engine, behind a protocol of our own, and its double for tests.

A path is relative to the engine (`jeex/oauth/github`). Every write makes a version; a deleted version can be brought back
until it is destroyed. A caller who says which version it has seen is refused when another was faster (check-and-set).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from service.core.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """The values at a path. Its repr holds none of them."""

    values: Mapping[str, str]
    version: int
    created_at: datetime

    def __repr__(self) -> str:
        return f"SecretVersion({', '.join(sorted(self.values))}; version={self.version})"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version without its values. `deleted_at` is None while it can be read."""

    version: int
    created_at: datetime
    deleted_at: datetime | None = None
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a path: the newest version's number, every version that is kept, oldest first, and remarks."""

    current: int
    versions: tuple[VersionInfo, ...]
    notes: Mapping[str, str] = field(default_factory=dict)


class SecretStore(Protocol):
    """Versioned secrets. Every method raises VaultUnavailable, with a code that tells sealed from unreachable."""

    def get(self, path: str, version: int | None = None) -> SecretVersion | None:
        """The newest version at `path`, or that one; None where there is nothing to read."""

    def put(self, path: str, values: Mapping[str, str], *, seen: int | None = None) -> int:
        """Write a version, and say which. `seen` is the newest one known, 0 for none: Conflict when there is another."""

    def delete(self, path: str, versions: Sequence[int] = ()) -> None:
        """Make versions unreadable, the newest by default. They can be brought back."""

    def undelete(self, path: str, versions: Sequence[int]) -> None:
        """Bring deleted versions back."""

    def names(self, path: str) -> list[str]:
        """The names below `path`, sorted; those of folders end with a slash."""

    def metadata(self, path: str) -> Metadata | None:
        """What is known of `path`; None where nothing ever was."""

    def annotate(self, path: str, notes: Mapping[str, str], *, keep: int | None = None) -> None:
        """Put remarks in the place of those that `path` has; they are no secrets. `keep` is how many versions are kept."""


class LocalSecrets:
    """A SecretStore in memory, for tests. `clock` tells the time."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._kept: dict[str, list[tuple[VersionInfo, Mapping[str, str]]]] = {}
        self._notes: dict[str, Mapping[str, str]] = {}

    def get(self, path: str, version: int | None = None) -> SecretVersion | None:
        """The newest version at `path`, or that one."""
        kept = self._kept.get(path, [])
        wanted = len(kept) if version is None else version
        if not 1 <= wanted <= len(kept) or kept[wanted - 1][0].deleted_at is not None:
            return None
        info, values = kept[wanted - 1]
        return SecretVersion(values, info.version, info.created_at)

    def put(self, path: str, values: Mapping[str, str], *, seen: int | None = None) -> int:
        """Write a version."""
        kept = self._kept.get(path, [])
        if seen is not None and seen != len(kept):
            raise changed(path)
        version = len(kept) + 1
        self._kept[path] = [*kept, (VersionInfo(version, self._clock()), dict(values))]
        return version

    def delete(self, path: str, versions: Sequence[int] = ()) -> None:
        """Make versions unreadable."""
        kept = self._kept.get(path, [])
        for version in versions or ([len(kept)] if kept else []):
            self._mark(path, version, self._clock())

    def undelete(self, path: str, versions: Sequence[int]) -> None:
        """Bring deleted versions back."""
        for version in versions:
            self._mark(path, version, None)

    def names(self, path: str) -> list[str]:
        """The names below `path`."""
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        below = [one.removeprefix(prefix).partition("/") for one in self._kept if one.startswith(prefix)]
        return sorted({name + slash for name, slash, _ in below})

    def metadata(self, path: str) -> Metadata | None:
        """What is known of `path`."""
        kept = self._kept.get(path)
        return Metadata(len(kept), tuple(info for info, _ in kept), self._notes.get(path, {})) if kept else None

    def annotate(self, path: str, notes: Mapping[str, str], *, keep: int | None = None) -> None:
        """Put remarks in the place of those that `path` has."""
        self._notes[path] = dict(notes)

    def _mark(self, path: str, version: int, deleted_at: datetime | None) -> None:
        kept = self._kept.get(path, [])
        if not 1 <= version <= len(kept):
            raise NotFound(f"there is no version {version} at {path}", code="SECRET_UNKNOWN")
        info, values = kept[version - 1]
        kept[version - 1] = replace(info, deleted_at=deleted_at), values


def changed(path: str) -> Conflict:
    """Someone else wrote first."""
    return Conflict(f"the secret at {path} has changed meanwhile", code="SECRET_CHANGED", hint="read it again")
