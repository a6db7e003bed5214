"""The file that a tenant travels in: a gzipped tar of small members, written and read piece by piece.

    tenant.json                  what this is, of which schema, whose, and the columns of each table
    rows/document/000001.jsonl   rows, a JSON object a line; some MiB each
    manifest.json                size, SHA-256 and number of rows of each member

Whoever reads one trusts nothing of it. Only plain members of exactly these names are known, one after the other; nothing is
ever written under a name of the file's, so there is no path to escape from. What a member says of its size is bounded before
it is read, and so are all of them together, what they unpack to, and the number of rows. The hashes find damage; against
somebody who makes new ones there are the passphrase, and that an import is checked like any other input.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from service.core.errors import FileRefused

FORMAT, VERSION = "jeex-tenant", 1
HEADER, MANIFEST = "tenant.json", "manifest.json"
PART = 4 * 1024 * 1024  # bytes of rows after which a member ends
_ROW = 24 * 1024 * 1024  # bytes of one row at most, well below what a member may have
_BLOCK = tarfile.BLOCKSIZE
_ROWS = re.compile(r"rows/([a-z][a-z_]{0,62})/([0-9]{6})\.jsonl")
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {
    **{tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.DIRTYPE: "a folder"},
    **{tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe"},
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost. `total` is what it unpacks to, in bytes; `ratio` how often its size, beyond `free` bytes."""

    member: int = 32 * 1024 * 1024
    total: int = 20 * 1024**3
    ratio: int | None = 200
    free: int = 256 * 1024 * 1024
    rows: int = 50_000_000


@dataclass(slots=True)
class Member:
    """What the manifest says of one."""

    bytes: int
    sha256: str
    rows: int


@dataclass(slots=True)
class Manifest:
    """Every member but the manifest itself, in order."""

    members: dict[str, Member] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        found: dict[str, int] = {}
        for name, one in self.members.items():
            if parts := _ROWS.fullmatch(name):
                found[parts[1]] = found.get(parts[1], 0) + one.rows
        return found


class Writer:
    """Writes such a file to `target`, which stays open."""

    def __init__(self, target: BinaryIO, header: Mapping[str, Any]) -> None:
        # Level 1: a third of the time of 6, for a tenth more bytes.
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=1, mtime=0)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.USTAR_FORMAT)
        self.manifest = Manifest()
        self._table, self._part, self._held = "", 0, bytearray()
        self._add(HEADER, orjson.dumps({"format": FORMAT, "version": VERSION, **header}))

    def begin(self, table: str) -> None:
        """What follows are rows of that table."""
        self.flush()
        self._table, self._part = table, 0

    def rows(self, lines: bytes) -> None:
        """Text of rows; a line may end in the next piece. Raises FileRefused for a row that no import would take."""
        self._held += lines
        if len(self._held) >= PART and (end := self._held.rfind(b"\n") + 1):
            self._cut(end)
        if len(self._held) > _ROW:
            raise FileRefused(f"a row of {self._table} is too large for an export", code="ROW_TOO_LARGE")

    def flush(self) -> None:
        """The rows that are held become a member."""
        if self._held:
            self._cut(len(self._held))

    def finish(self) -> None:
        """Write the manifest and the end."""
        self.flush()
        members = {
            name: {"bytes": one.bytes, "sha256": one.sha256, "rows": one.rows} for name, one in self.manifest.members.items()
        }
        self._add(MANIFEST, orjson.dumps({"members": members, "rows": self.manifest.rows}))
        self._tar.close()
        self._gzip.close()

    def _cut(self, end: int) -> None:
        self._part += 1
        self._add(f"rows/{self._table}/{self._part:06}.jsonl", bytes(self._held[:end]))
        del self._held[:end]

    def _add(self, name: str, content: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size, about.mode = len(content), 0o600
        self._tar.addfile(about, io.BytesIO(content))
        self._tar.members.clear()  # type: ignore[attr-defined]  # it would remember each
        if name != MANIFEST:
            self.manifest.members[name] = described(name, content)


def described(name: str, content: bytes) -> Member:
    """What the manifest says of a member."""
    rows = content.count(b"\n") if _ROWS.fullmatch(name) else 0
    return Member(len(content), hashlib.sha256(content).hexdigest(), rows)


def table_of(name: str) -> str | None:
    """Which table's rows a member of that name has; None for another one."""
    found = _ROWS.fullmatch(name)
    return found[1] if found else None


def members(source: BinaryIO, limits: Limits, *, packed: int) -> Iterator[tuple[str, bytes]]:
    """Every member of the file, whose size is `packed`: its name and what it holds. Raises FileRefused."""
    stream = _Stream(source, limits, packed)
    seen: set[str] = set()
    while (block := stream.exactly(_BLOCK)) != bytes(_BLOCK):
        try:
            about = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
            raise FileRefused("the archive is damaged: a member has no proper head", code="FILE_DAMAGED") from error
        name = about.name
        if about.type not in _PLAIN:
            kind = _KINDS.get(about.type, "something other than a plain file")
            raise FileRefused(f"{name[:80]!r} is {kind}; an export has none", code="FILE_HOSTILE")
        if name not in (HEADER, MANIFEST) and not _ROWS.fullmatch(name):
            raise FileRefused(f"{name[:80]!r} is not a name that an export has", code="FILE_HOSTILE")
        if name in seen:
            raise FileRefused(f"{name} is there twice", code="FILE_HOSTILE")
        if not 0 <= about.size <= limits.member:
            raise FileRefused(
                f"{name} says that it has {about.size} bytes; {limits.member} are allowed", code="FILE_TOO_LARGE"
            )
        seen.add(name)
        content = stream.exactly(about.size)
        stream.exactly(-about.size % _BLOCK)
        yield name, content
    stream.end()


class _Stream:
    """What the file unpacks to, never more than is allowed."""

    def __init__(self, source: BinaryIO, limits: Limits, packed: int) -> None:
        self._unzipped = gzip.GzipFile(fileobj=source, mode="rb")
        self._limits = limits
        self._most = limits.total
        if limits.ratio is not None:
            self._most = min(limits.total, max(limits.free, packed * limits.ratio))
        self._read = 0

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        found = self._some(size)
        if len(found) != size:
            raise FileRefused("the file ends too early: it was cut off", code="FILE_TRUNCATED")
        return found

    def end(self) -> None:
        """Nothing but the padding of the archive follows, and the sum of all is right."""
        rest = self._some(2 * tarfile.RECORDSIZE)
        if len(rest) >= 2 * tarfile.RECORDSIZE or rest.strip(b"\0"):
            raise FileRefused("something follows behind the end of the archive", code="FILE_HOSTILE")

    def _some(self, size: int) -> bytes:
        self._read += size
        if self._read > self._most:
            raise FileRefused(
                f"the file unpacks to more than {self._most / 1024**2:.0f} MiB",
                code="FILE_TOO_LARGE",
                hint="if you trust whoever made it, say how much it may be: --max-size GIB",
            )
        parts, missing = [], size
        try:
            while missing and (part := self._unzipped.read(missing)):
                parts.append(part)
                missing -= len(part)
        except EOFError as error:
            raise FileRefused("the file ends too early: it was cut off", code="FILE_TRUNCATED") from error
        except gzip.BadGzipFile as error:
            if self._read == size:
                raise FileRefused("this is no export of a tenant", code="FILE_FOREIGN") from error
            raise FileRefused("the file is damaged: its checksum is wrong", code="FILE_DAMAGED") from error
        except zlib.error as error:
            raise FileRefused("the file is damaged: it cannot be unpacked", code="FILE_DAMAGED") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)
