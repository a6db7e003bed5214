"""Where snapshots are: `.jeex/snapshots/<id>/`, this user's alone. Each is there whole or not at all.

What is under way stands beside them under a name that no snapshot has, and what a killed command left is cleared away by the
next that saves. Callers hold the project's lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jeex_cli.errors import DataError, JeexError, UsageError
from jeex_cli.ops import snapshot_manifest
from jeex_cli.ops.snapshot_manifest import MANIFEST, Manifest
from jeex_cli.project import Project, not_writable, private_folder, write_private

_PIECE = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A folder of a snapshot. Without a manifest `problem` says why it cannot be used."""

    id: str
    folder: Path
    manifest: Manifest | None
    problem: str = ""


def folder(project: Project) -> Path:
    """Where they are. `jeex down --delete-data` leaves it alone."""
    return project.folder / "snapshots"


def find_all(project: Project) -> list[Found]:
    """Every snapshot, oldest first. Raises NotReady where this user may not look."""
    place = folder(project)
    try:
        names = sorted(one.name for one in place.iterdir()) if place.exists() else []
    except OSError as error:
        raise not_writable(place, error) from error
    found = []
    for name in filter(snapshot_manifest.is_id, names):
        try:
            found.append(Found(name, place / name, read(project, name)))
        except DataError as error:
            found.append(Found(name, place / name, None, error.message))
    return found


def read(project: Project, name: str) -> Manifest:
    """The manifest of one. Raises UsageError where there is none, DataError where it cannot be used."""
    place = folder(project) / name
    if not snapshot_manifest.is_id(name) or not place.is_dir():
        raise UsageError(f"there is no snapshot {name}", code="SNAPSHOT_UNKNOWN", hint="jeex snapshot list")
    try:
        manifest = snapshot_manifest.parse((place / MANIFEST).read_bytes(), str(place / MANIFEST))
    except OSError as error:
        raise snapshot_manifest.invalid(str(place), f"{MANIFEST}: {error.strerror}") from error
    if manifest.id != name:
        raise snapshot_manifest.invalid(str(place), f"its manifest is that of {manifest.id}")
    return manifest


def verify(place: Path, manifest: Manifest) -> None:
    """Read every file back. Raises DataError for one that is missing or is not what was written."""
    for name, expected in manifest.files.items():
        try:
            size, found = (place / name).stat().st_size, checksum(place / name)
        except OSError as error:
            raise _damaged(place / name, error.strerror or "it cannot be read") from error
        if (size, found) != (expected.size, expected.sha256):
            why = f"{size:,} bytes of {expected.size:,}" if size != expected.size else "its checksum is another"
            raise _damaged(place / name, why)


def checksum(path: Path) -> str:
    """SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def made(project: Project, name: str) -> Iterator[Path]:
    """An empty folder that becomes the snapshot `name` when this ends well, and is gone otherwise.

    A disk that is full (or whatever else fails) leaves nothing. Raises NotReady, JeexError.
    """
    place = private_folder(folder(project))
    clear(project)
    aside = private_folder(place / f".new-{name}")
    try:
        yield aside
        settle(aside)
        aside.rename(place / name)
        _sync(place)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise _explained(aside, error) from error


def clear(project: Project) -> None:
    """Clear away what killed commands have left."""
    for left in folder(project).glob(".*"):
        shutil.rmtree(left, ignore_errors=True)


def remove(project: Project, name: str) -> None:
    """Delete one: out of sight at once, whatever happens while its files go."""
    gone = folder(project) / f".gone-{name}"
    try:
        (folder(project) / name).rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise not_writable(gone, error) from error


def write_manifest(place: Path, manifest: Manifest) -> None:
    """The last file of a snapshot."""
    write_private(place / MANIFEST, manifest.text())


def prune(project: Project, *, keep: int, most_bytes: int, spare: Collection[str] = ()) -> list[str]:
    """Delete the oldest automatic snapshots until `keep` of them are left, of `most_bytes` together; their ids.

    The newest stays whatever its size, and so do `spare` and whatever was not made automatically.
    """
    automatic = [one.manifest for one in find_all(project) if one.manifest is not None and one.manifest.automatic]
    going: list[str] = []
    total = 0
    for place, one in enumerate(reversed(automatic)):
        total += one.size
        if place > 0 and one.id not in spare and (place >= keep or total > most_bytes):
            total -= one.size
            going.append(one.id)
    for name in going:
        remove(project, name)
    return going


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not as it was saved: {why}",
        code="SNAPSHOT_DAMAGED",
        detail="Nothing was changed.",
        hint="use another: jeex snapshot list",
    )


def settle(aside: Path) -> None:
    """Have everything on the disk, and out of memory: who reads it back reads what the disk has."""
    for path in aside.iterdir():
        path.chmod(0o600)
        _sync(path)
    _sync(aside)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _explained(aside: Path, error: BaseException) -> BaseException:
    """`error`, in the words for a full disk where that is what it says: each writer has words of its own for it."""
    if isinstance(error, OSError):
        return not_writable(aside, error)
    said = f"{error.message} {error.detail}" if isinstance(error, JeexError) else str(error)
    if "No space left on device" in said or "disk is full" in said:
        full = not_writable(aside, OSError(28, "No space left on device"))
        full.detail = f"{said.strip()}\nNo snapshot was made, and nothing of it is left."
        return full
    return error
