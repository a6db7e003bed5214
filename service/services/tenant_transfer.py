"""A tenant as one thing: written into a file, read from one, copied. Whoever opened the transaction commits.

Everything of it travels: its rows in every table, finished jobs and queued ones, the hashes of its keys and passwords (there
is nothing of a tenant's in Vault). What cannot hold elsewhere is left out, and said: a password that was hashed with the
pepper of another stack, and keys where ids are made anew, for a key has the ids of its tenant and of itself in it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

import asyncpg

from service.adapters import tenant_news, tenant_rows
from service.adapters.database import bind_driver
from service.adapters.tenant_tables import ROOT, TABLES, TenantTable
from service.core.errors import Conflict, FileRefused
from service.services.naming import valid_slug
from service.services.tenant_contents import Contents
from service.services.tenant_file import Limits, Writer

Progress = Callable[[str, int], None]  # table, rows so far
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What says nothing true of a tenant with other ids: keys, and answers to requests that named the old ones.
_OF_OLD_IDS = ("api_key", "idempotent_request")
# JSON of ours that names rows; what people wrote is left as it is.
_NAMES_ROWS = {"job": ("args", "result")}


@dataclass(frozen=True, slots=True)
class Stack:
    """What a file says of where it was made. `revisions` are those that this code knows, oldest first."""

    version: str
    instance: str
    revisions: Sequence[str]


@dataclass(slots=True)
class Imported:
    """What came of an import. `passwords` is how many users need a new password; `left_out` rows by table."""

    id: uuid.UUID
    slug: str
    rows: dict[str, int] = field(default_factory=dict)
    passwords: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


async def export(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, target: BinaryIO, stack: Stack, progress: Progress
) -> dict[str, int]:
    """Write the tenant to `target`, as it is at one moment; the number of rows of each table.

    `driver` is in a transaction in which nothing has been read yet.
    """
    await tenant_rows.hold_still(driver)
    await bind_driver(driver, tenant_id)
    slug = await driver.fetchval("SELECT slug FROM tenant WHERE id = $1", tenant_id)
    writer = Writer(
        target,
        {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "platform": stack.version,
            "instance": stack.instance,
            "revision": stack.revisions[-1],
            "tenant": {"id": str(tenant_id), "slug": slug},
            "tables": {name: one.columns for name, one in TABLES.items()},
        },
    )
    done = 0
    for name, table in TABLES.items():
        writer.begin(name)

        def sink(lines: bytes, name: str = name) -> None:
            nonlocal done
            writer.rows(lines)
            done += lines.count(b"\n")
            progress(name, done)

        await tenant_rows.read(driver, table, tenant_id, sink)
    writer.finish()
    return writer.manifest.rows


class Ids:
    """The ids that rows get: those of the file, or new ones, each old one always the same.

    A new id keeps the time in the old one, so that lists stay in their order; the rest is a hash with a key of this import.
    So no table of old and new ones is needed, however many there are.
    """

    def __init__(self, *, new: bool) -> None:
        self._key = secrets.token_bytes(32) if new else b""

    def __call__(self, old: str) -> str:
        """The id in place of `old`. Raises ValueError where that is none."""
        if not self._key:
            return old
        before = uuid.UUID(old).bytes
        fresh = hashlib.blake2b(before, key=self._key, digest_size=8).digest()
        return str(uuid.UUID(bytes=before[:8] + bytes([0x80 | fresh[0] & 0x3F]) + fresh[1:]))

    def within(self, text: str) -> str:
        """The same for every id in a text."""
        return _UUID.sub(lambda found: self(found[0]), text) if self._key else text


async def load(
    driver: asyncpg.Connection,
    contents: Contents,
    stack: Stack,
    progress: Progress,
    *,
    slug: str | None,
    new_ids: bool,
) -> Imported:
    """Insert what the file has, as a tenant named `slug` (by default as there), all or nothing.

    Raises FileRefused, Conflict (SLUG_TAKEN, TENANT_THERE), InvalidInput.
    """
    head = contents.header
    _check_revision(head.revision, stack.revisions)
    # A new tenant's id is made as the others are; where ids are kept, so is this one.
    ids = Ids(new=new_ids)
    done = Imported(uuid.UUID(ids(str(head.tenant_id))), valid_slug(head.slug if slug is None else slug))
    await _check_free(driver, done)
    await bind_driver(driver, done.id)
    change = _Change(done, ids, peppered=head.instance == stack.instance and bool(stack.instance), new_ids=new_ids)
    total, before = 0, ROOT
    order = list(TABLES)
    for name, member, rows in contents.parts():
        if order.index(name) < order.index(before):
            raise FileRefused(f"{member} is not where it belongs: {before} comes after {name}", code="FILE_HOSTILE")
        before = name
        if new_ids and name in _OF_OLD_IDS:
            done.left_out[name] = done.left_out.get(name, 0) + len(rows)
            continue
        for row in rows:
            change.row(TABLES[name], row, member)
        await tenant_rows.write(driver, TABLES[name], done.id, head.columns[name], rows)
        done.rows[name] = done.rows.get(name, 0) + len(rows)
        total += len(rows)
        progress(name, total)
    await tenant_rows.settle(driver, done.id)
    await tenant_news.tell(driver, done.id)
    return done


class _Change:
    """What becomes of a row on its way in."""

    def __init__(self, done: Imported, ids: Ids, *, peppered: bool, new_ids: bool) -> None:
        self._done, self._ids = done, ids
        self._peppered, self._new_ids = peppered, new_ids

    def row(self, table: TenantTable, row: dict[str, Any], member: str) -> None:
        """Change it in place. Raises FileRefused."""
        if self._new_ids:
            try:
                for name in table.ids:
                    if row.get(name) is not None:
                        row[name] = self._ids(row[name])
            except (ValueError, TypeError, AttributeError) as error:
                raise FileRefused(f"{member} has something else than an id as an id", code="FILE_VALUE") from error
            for name in _NAMES_ROWS.get(table.name, ()):
                if isinstance(row.get(name), str):
                    row[name] = self._ids.within(row[name])
        if table.name == ROOT:
            row["slug"] = self._done.slug
            if "deleted_at" in row:
                row["deleted_at"] = None
        elif table.name == "app_user" and not self._peppered and "#" in str(row.get("password_hash") or ""):
            row["password_hash"] = None
            self._done.passwords += 1


def _check_revision(revision: str, known: Sequence[str]) -> None:
    if revision not in known:
        raise FileRefused(
            f"the file has the schema of revision {revision}, which is newer than this installation",
            code="SCHEMA_NEWER",
            hint="upgrade jeex, then: jeex db migrate",
        )


async def _check_free(driver: asyncpg.Connection, wanted: Imported) -> None:
    there: Mapping[str, Any] | None = await driver.fetchrow("SELECT slug, deleted_at FROM tenant WHERE id = $1", wanted.id)
    if there is not None:
        how = ", deleted but not purged" if there["deleted_at"] is not None else ""
        raise Conflict(
            f"the tenant of the file is here already: {there['slug']} ({wanted.id}{how})",
            code="TENANT_THERE",
            hint="make another one of it: --new-ids --as SLUG; or remove it for good first: "
            f"jeex tenant delete {wanted.id} --purge",
        )
    if await driver.fetchval("SELECT 1 FROM tenant WHERE slug = $1 AND deleted_at IS NULL", wanted.slug):
        raise Conflict(
            f"there is a tenant named {wanted.slug} already",
            field="slug",
            code="SLUG_TAKEN",
            hint="choose another: --as SLUG",
        )


async def clone(
    driver: asyncpg.Connection, tenant_id: uuid.UUID, *, slug: str, spool: BinaryIO, stack: Stack, progress: Progress
) -> Imported:
    """A second tenant like the first, with ids of its own, in one transaction. `spool` is a file to write to and read from.

    Raises Conflict (SLUG_TAKEN), InvalidInput.
    """
    await export(driver, tenant_id, spool, stack, lambda _table, _rows: None)
    trusted = Limits(total=2**62, ratio=None, rows=2**62)
    return await load(driver, Contents(spool, None, trusted), stack, progress, slug=slug, new_ids=True)
