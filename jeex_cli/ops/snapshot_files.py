"""A snapshot as one file: a plain tar (what is large in it is compressed already), the manifest first.

An imported file may come from anybody. No name in it becomes a path: members are matched against the three that there can
be. Nothing is unpacked that the manifest has not announced with its size, and a plain tar has no room for a bomb. What is
read goes to a folder aside; only what fits its checksums, can be listed, and does nothing but make keys becomes a snapshot.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from jeex_cli import state
from jeex_cli.checks.disks import disk_full
from jeex_cli.errors import DataError, JeexError, UsageError
from jeex_cli.ops import carry, snapshot_database, snapshot_fit, snapshot_manifest, snapshot_redis, snapshot_store, snapshots
from jeex_cli.ops.snapshot_manifest import LIMIT, MANIFEST, File, Manifest
from jeex_cli.project import not_writable
from jeex_cli.session import Session

_PIECE = 1024 * 1024  # bytes
_SPARE = 64 * 1024 * 1024  # bytes that have to be left on the disk


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, its bytes. `needs` are the secrets of `.env` without which nobody can restore it."""

    file: Path
    size: int
    snapshot: Manifest
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A snapshot that was taken in. `opens` says whether this project's `.env` opens it: else it cannot be restored yet."""

    snapshot: Manifest
    folder: Path
    opens: bool
    problem: str = ""


def export(session: Session, name: str, file: Path) -> Exported:
    """Write the snapshot `name` to `file`, mode 0600, at once or not at all. Raises UsageError where the file exists
    already.
    """
    manifest = snapshots.show(session, name)
    if file.exists() or file.is_symlink():
        raise UsageError(f"{file} is there already", code="FILE_EXISTS", hint="name another file, or remove that one")
    folder = snapshot_store.folder(session.project) / name
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                content = manifest.text().encode()
                tar.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
                for one, expected in manifest.files.items():
                    with (folder / one).open("rb") as source:
                        tar.addfile(_member(one, expected.size), source)
            out.flush()
            os.fsync(out.fileno())
        size = new.stat().st_size
        new.rename(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise not_writable(file, error) from error
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return Exported(file, size, manifest, tuple(manifest.opens_with))


def take_in(session: Session, file: Path) -> Imported:
    """Make a snapshot of a file that `export` has written, here or elsewhere. It is kept until it is deleted.

    Raises UsageError where there is no such file, DataError for what is not what it says, NotReady. Then nothing was
    written.
    """
    with (
        state.locked(session.project, timeout=session.timeout, waiting=session.output.note),
        _opened(file) as tar,
    ):
        session = session.anew()
        manifest = replace(_manifest(tar, file), automatic=False)
        _refuse_twice(session, manifest, file)
        problem = _problem(session, manifest)
        _room(session, manifest, file)
        with snapshot_store.made(session.project, manifest.id) as folder:
            with carry.step(session.output.step, "read", "Read file") as said:
                _members(tar, manifest, folder, file)
                said(f"{manifest.size / 1024 / 1024:,.1f} MiB")
            with carry.step(session.output.step, "verify", "Verify"):
                snapshot_store.verify(folder, manifest)
                snapshot_redis.check(folder / snapshot_redis.COMMANDS)
                _listed(session, folder, file)
            snapshot_store.write_manifest(folder, manifest)
        return Imported(manifest, snapshot_store.folder(session.project) / manifest.id, not problem, problem)


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    """The tar, read from front to end; errors of the library are those of the file."""
    if not file.is_file():
        raise UsageError(
            f"there is no file {file}", code="FILE_MISSING", hint="name one that jeex snapshot export has written"
        )
    try:
        with file.open("rb") as source, tarfile.open(fileobj=source, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise snapshot_manifest.invalid(str(file), f"it is no whole tar file ({error})") from error


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not _is_plain(first) or not 0 <= first.size <= LIMIT:
        raise snapshot_manifest.invalid(str(file), f"it does not begin with {MANIFEST}")
    return snapshot_manifest.parse(_content(tar, first).read(), str(file))


def _members(tar: tarfile.TarFile, manifest: Manifest, folder: Path, file: Path) -> None:
    """Write each announced file, once, with the size and the checksum that it was announced with."""
    missing = dict(manifest.files)
    while (member := tar.next()) is not None:
        expected = missing.pop(member.name, None)
        if expected is None or not _is_plain(member):
            raise snapshot_manifest.invalid(str(file), f"it has {member.name[:80]!r}, which does not belong there")
        if member.size != expected.size:
            raise snapshot_manifest.invalid(
                str(file), f"{member.name} has {member.size:,} bytes, and its manifest says {expected.size:,}"
            )
        if _written(_content(tar, member), folder / member.name, expected) != expected.sha256:
            raise DataError(
                f"{member.name} in {file} is not as it was saved: its checksum is another",
                code="SNAPSHOT_DAMAGED",
                detail="Nothing was changed.",
                hint="export it anew, or copy the file again",
            )
    if missing:
        raise snapshot_manifest.invalid(str(file), f"{' and '.join(missing)} is missing")


def _written(source: IO[bytes], path: Path, expected: File) -> str:
    """Copy; the checksum of what came."""
    digest = hashlib.sha256()
    left = expected.size
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while left and (piece := source.read(min(_PIECE, left))):
            digest.update(piece)
            out.write(piece)
            left -= len(piece)
    return digest.hexdigest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content


def _is_plain(member: tarfile.TarInfo) -> bool:
    """No link, no device, no file with holes: only that is as long in the tar as it says."""
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def _refuse_twice(session: Session, manifest: Manifest, file: Path) -> None:
    if (snapshot_store.folder(session.project) / manifest.id).exists():
        raise UsageError(
            f"the snapshot {manifest.id} in {file} is here already",
            code="SNAPSHOT_EXISTS",
            hint=f"jeex snapshot restore {manifest.id}; to take it in anew: jeex snapshot delete {manifest.id}",
        )


def _room(session: Session, manifest: Manifest, file: Path) -> None:
    """Raise NotReady where it does not fit, DataError where the file cannot hold what it announces."""
    if manifest.size > file.stat().st_size:
        raise snapshot_manifest.invalid(str(file), f"it announces {manifest.size:,} bytes and is shorter than that")
    if error := disk_full(shutil.disk_usage(session.project.folder).free, manifest.size + _SPARE, session.project.folder):
        raise error


def _listed(session: Session, folder: Path, file: Path) -> None:
    try:
        snapshot_database.listed(carry.stores(session).postgres, folder)
    except JeexError as error:
        if error.code != "SNAPSHOT_UNREADABLE":
            raise
        raise snapshot_manifest.invalid(str(file), f"{error.message}: {error.detail}") from error


def _problem(session: Session, manifest: Manifest) -> str:
    """Why it cannot be restored here as things are; "" where it can. One that was tampered with is refused."""
    try:
        snapshot_fit.opens(session, manifest)
    except DataError as error:
        if error.code != "SNAPSHOT_KEYS":
            raise
        return error.message
    return ""
