"""What the cache keeps: under which key, and in which form. Pure.

There is no key without a tenant: it cannot be made. A value says which key it is of, under which stamp it was read, and how
its bytes add up; whatever does not fit is no value, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Literal

from service.adapters.freshness import Scope

_PREFIX = "jeex:cache"
# Form and its version, what it is, when it ends, from when on to read it anew, the row's version, stamp, whose, which.
# A checksum of four bytes follows, then the body.
_HEAD = struct.Struct(">4sBddI16s16s16s")
_BODY = _HEAD.size + 4
_FORM = b"jxc1"
_FOUND, _ABSENT, _TOO_LARGE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Value:
    """What was read: `body` is the JSON that PostgreSQL wrote; `version` the row's, 0 where it has none."""

    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A row or a page of a tenant's table; `what` are the 16 bytes that tell it from others of its sort."""

    tenant_id: uuid.UUID
    table: str
    sort: Literal["row", "page"]
    what: bytes
    shape: str = ""  # of the JSON: what another version of this code wrote is not taken for ours

    def __post_init__(self) -> None:
        if not isinstance(self.tenant_id, uuid.UUID):
            raise TypeError("what is cached is of a tenant, said by its UUID")
        if not (self.table.isascii() and self.table.replace("_", "").isalpha()) or self.sort not in ("row", "page"):
            raise ValueError("a key names a table, and a row or a page")
        if len(self.what) != 16:
            raise ValueError("a key is of 16 bytes")

    @classmethod
    def row(cls, tenant_id: uuid.UUID, table: str, row_id: uuid.UUID, *, shape: str = "") -> Key:
        """One row."""
        return cls(tenant_id, table, "row", row_id.bytes, shape)

    @classmethod
    def page(cls, tenant_id: uuid.UUID, table: str, *asked: object, shape: str = "") -> Key:
        """One page: what it was asked, as values whose repr says all."""
        return cls(tenant_id, table, "page", hashlib.blake2b(repr(asked).encode(), digest_size=16).digest(), shape)

    @property
    def scope(self) -> Scope:
        """Whose changes end it."""
        return self.tenant_id, self.table

    @property
    def name(self) -> str:
        """Where Redis has it."""
        return f"{_PREFIX}:{self.tenant_id.hex}:{self.table}:{self.sort}:{self.what.hex()}:{self.shape}"

    def claim(self, stamp: bytes) -> str:
        """Where Redis has who is reading it."""
        return f"{self.name}:{stamp.hex()}"


def version_name(scope: Scope) -> str:
    """Where Redis has the version of a tenant's table."""
    tenant_id, table = scope
    if not isinstance(tenant_id, uuid.UUID):
        raise TypeError("what is cached is of a tenant, said by its UUID")
    return f"{_PREFIX}:{tenant_id.hex}:{table}:version"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value out of the cache. `value` is None where there is nothing of that key; times are those of time.time()."""

    value: Value | None
    ends: float
    renew: float
    too_large: bool = False


def encode(key: Key, stamp: bytes, entry: Entry) -> bytes:
    """As Redis keeps it. `stamp` are 16 bytes."""
    value = entry.value or Value(0, b"")
    kind = _TOO_LARGE if entry.too_large else _ABSENT if entry.value is None else _FOUND
    head = _HEAD.pack(
        *(_FORM, kind, entry.ends, entry.renew, value.version, stamp, key.tenant_id.bytes, key.what),
    )
    return head + _sum(key, head, value.body) + value.body


def decode(raw: bytes, key: Key, stamp: bytes) -> Entry | None:
    """What `encode` was given, None for whatever else it may be: another key's, an older stamp's, or broken."""
    if len(raw) < _BODY:
        return None
    form, kind, ends, renew, version, under, tenant, what = _HEAD.unpack_from(raw)
    if form != _FORM or under != stamp or tenant != key.tenant_id.bytes or what != key.what:
        return None
    body = raw[_BODY:]
    if _sum(key, raw[: _HEAD.size], body) != raw[_HEAD.size : _BODY]:
        return None
    return Entry(Value(version, body) if kind == _FOUND else None, ends, renew, too_large=kind == _TOO_LARGE)


def _sum(key: Key, head: bytes, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(head, zlib.crc32(key.name.encode()))).to_bytes(4, "big")
