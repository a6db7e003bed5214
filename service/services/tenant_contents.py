"""An export as it is read in: looked through as a whole first, then its rows one after the other, none of them trusted."""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from service.adapters.tenant_tables import ROOT, TABLES
from service.core.errors import FileRefused, InvalidInput
from service.core.settings import Secret
from service.services import tenant_cipher, tenant_file
from service.services.tenant_cipher import Unsealing
from service.services.tenant_file import FORMAT, HEADER, MANIFEST, VERSION, Limits, Manifest, Member

_REVISION = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says that it is. `instance` is the id of the stack that made it; `columns` are those of each table."""

    tenant_id: uuid.UUID
    slug: str
    revision: str
    instance: str
    columns: Mapping[str, tuple[str, ...]]


class Contents:
    """A file that was looked through: whole, and as it says of itself. Its rows have yet to be checked."""

    def __init__(self, source: BinaryIO, passphrase: Secret | None, limits: Limits) -> None:
        """Raises FileRefused. `source` is open for reading and can be read again from its beginning."""
        self._source, self._passphrase, self._limits = source, passphrase, limits
        self._packed = source.seek(0, os.SEEK_END)
        self.header, self.manifest = self._look_through()

    def parts(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Table, member and rows, a member at a time, as the file has them. Raises FileRefused."""
        for name, content in self._members():
            if name != MANIFEST and self.manifest.members.get(name) != tenant_file.described(name, content):
                raise FileRefused("the file has changed while it was read", code="FILE_DAMAGED")
            if table := tenant_file.table_of(name):
                yield table, name, self._rows(table, name, content)

    def _rows(self, table: str, name: str, content: bytes) -> list[dict[str, Any]]:
        columns, owner = set(self.header.columns[table]), TABLES[table].owner
        whose = str(self.header.tenant_id)
        found = []
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise FileRefused(f"line {number} of {name} is not JSON", code="FILE_VALUE") from error
            if not isinstance(row, dict) or row.keys() != columns:
                raise FileRefused(f"line {number} of {name} has other columns than {HEADER} says", code="FILE_COLUMNS")
            if row[owner] != whose:
                raise FileRefused(
                    f"line {number} of {name} is a row of another tenant than the file says", code="FILE_OTHER_TENANT"
                )
            found.append(row)
        return found

    def _look_through(self) -> tuple[Header, Manifest]:
        header: Header | None = None
        said: object = None
        found = Manifest()
        rows = 0
        for name, content in self._members():
            if (name == HEADER) != (header is None) or said is not None:
                raise FileRefused(f"{name} is not where it belongs: {HEADER} is first, {MANIFEST} last", code="FILE_HOSTILE")
            if name == MANIFEST:
                said = _document(name, content)
                continue
            if name == HEADER:
                header = _header(content)
            elif header is not None and tenant_file.table_of(name) not in header.columns:
                raise FileRefused(f"{name} is of a table that {HEADER} does not have", code="FILE_TABLE")
            elif content and not content.endswith(b"\n"):
                raise FileRefused(f"{name} ends within a line", code="FILE_DAMAGED")
            found.members[name] = tenant_file.described(name, content)
            rows += found.members[name].rows
            if rows > self._limits.rows:
                raise FileRefused(f"the file has more than {self._limits.rows} rows", code="FILE_TOO_LARGE")
        if header is None or said is None:
            raise FileRefused("the file ends too early: its manifest is missing", code="FILE_TRUNCATED")
        _compare(said, found)
        if found.rows.get(ROOT) != 1:
            raise FileRefused("the file has not exactly one tenant", code="FILE_HOSTILE")
        return header, found

    def _members(self) -> Iterator[tuple[str, bytes]]:
        self._source.seek(0)
        stream: BinaryIO = self._source
        if self._passphrase is not None:
            stream = io.BufferedReader(Unsealing(self._source, self._passphrase))
        yield from tenant_file.members(stream, self._limits, packed=self._packed)


def is_sealed(source: BinaryIO) -> bool:
    """Whether a passphrase is needed to read it."""
    source.seek(0)
    return source.read(len(tenant_cipher.MAGIC)) == tenant_cipher.MAGIC


@contextmanager
def sealed(target: BinaryIO, passphrase: Secret | None) -> Iterator[BinaryIO]:
    """Where to write what goes to `target`: under the passphrase, where there is one. Whole when the block ends well."""
    if passphrase is None:
        yield target
        return
    if len(passphrase.reveal()) < 12:
        raise InvalidInput(
            "a passphrase has 12 characters or more: whoever has the file may try as long as he likes", field="passphrase"
        )
    sealing = tenant_cipher.Sealing(target, passphrase)
    yield sealing  # type: ignore[misc]
    sealing.finish()


def _document(name: str, content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise FileRefused(f"{name} is not JSON", code="FILE_DAMAGED") from error
    if not isinstance(found, dict):
        raise FileRefused(f"{name} is not what an export has there", code="FILE_HOSTILE")
    return found


def _header(content: bytes) -> Header:
    said = _document(HEADER, content)
    if said.get("format") != FORMAT or not isinstance(said.get("version"), int):
        raise FileRefused("this is no export of a tenant", code="FILE_FOREIGN")
    if said["version"] != VERSION:
        raise FileRefused(
            f"the file is of format {said['version']}; this jeex reads {VERSION}",
            code="FILE_NEWER",
            hint="use the jeex that made it, or a newer one",
        )
    tenant, tables, revision = said.get("tenant"), said.get("tables"), said.get("revision")
    well = isinstance(said.get("instance"), str) and isinstance(revision, str) and bool(_REVISION.fullmatch(revision))
    if not (well and isinstance(tenant, dict) and isinstance(tables, dict)):
        raise FileRefused(f"{HEADER} is not what an export has there", code="FILE_HOSTILE")
    try:
        whose = uuid.UUID(tenant["id"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileRefused(f"{HEADER} names no tenant", code="FILE_HOSTILE") from error
    if str(whose) != tenant["id"]:
        raise FileRefused(f"{HEADER} names no tenant", code="FILE_HOSTILE")
    return Header(whose, str(tenant.get("slug")), str(revision), said["instance"], _columns(tables))


def _columns(tables: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The columns of each table, all of them known here, none missing that must be there. Raises FileRefused."""
    found = {}
    for name, columns in tables.items():
        table = TABLES.get(name)
        if table is None:
            raise FileRefused(f"there is no table {name[:80]!r} of a tenant here", code="FILE_TABLE")
        if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
            raise FileRefused(f"{HEADER} does not say what {name} has", code="FILE_HOSTILE")
        if unknown := sorted(set(columns) - set(table.columns)):
            raise FileRefused(f"{name} has no column {unknown[0][:80]!r} here", code="FILE_COLUMNS")
        if missing := sorted((table.needed | {table.owner}) - set(columns)):
            raise FileRefused(f"{name} has nothing for its column {missing[0]}", code="FILE_COLUMNS")
        if len(set(columns)) != len(columns):
            raise FileRefused(f"{name} has a column twice", code="FILE_COLUMNS")
        found[name] = tuple(columns)
    if ROOT not in found:
        raise FileRefused(f"{HEADER} does not say what a tenant has", code="FILE_HOSTILE")
    return found


def _compare(said: object, found: Manifest) -> None:
    """Raises FileRefused where the manifest says something else than what is there."""
    members = said.get("members") if isinstance(said, dict) else None
    if not isinstance(members, dict) or not all(isinstance(one, dict) for one in members.values()):
        raise FileRefused(f"{MANIFEST} is not what an export has there", code="FILE_HOSTILE")
    for name in [*found.members, *members]:
        there, named = found.members.get(name), members.get(name)
        if there is None or named is None:
            where = "missing" if there is None else f"not in {MANIFEST}"
            raise FileRefused(f"{name[:80]} is {where}: the file was changed", code="FILE_TAMPERED")
        if Member(named.get("bytes"), named.get("sha256"), named.get("rows")) != there:
            raise FileRefused(f"{name[:80]} is not what {MANIFEST} says: the file was changed", code="FILE_TAMPERED")
    if isinstance(said, dict) and said.get("rows") != found.rows:
        raise FileRefused(f"{MANIFEST} counts other rows than there are", code="FILE_TAMPERED")
