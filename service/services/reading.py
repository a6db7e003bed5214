"""What is read most: one project or document, and the first page of either. From the cache where there is one.

Whoever comes here has been authorised. What is loaded is loaded in a transaction of the tenant that it is cached for, under
row security; so is what a worker warms up.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Protocol

import asyncpg

from service.adapters.cache import Cache
from service.adapters.database import Database
from service.adapters.entries import Key, Value
from service.adapters.kinds import DOCUMENT, PROJECT, Kind
from service.adapters.repository import Asked, Repository, Row, Statements, unknown
from service.core.errors import NotFound
from service.services import pages

_STATEMENTS = {kind.name: Statements(kind) for kind in (PROJECT, DOCUMENT)}
_SHAPES = {name: hashlib.blake2b(one.json.encode(), digest_size=4).hexdigest() for name, one in _STATEMENTS.items()}
_FILTERS = frozenset({"project_id"})  # with which a first page is asked often enough to be kept
_WARM = 50  # rows of each kind


class Reads(Protocol):
    """Rows and pages of one tenant."""

    async def row(self, kind: Kind, row_id: uuid.UUID) -> Row:
        """The row of that id. Raises NotFound."""

    async def page(self, kind: Kind, asked: Asked, order: str) -> bytes:
        """The page as it goes out; `order` is its sort as the API says it."""


class Direct:
    """Out of a transaction that is bound to the tenant."""

    def __init__(self, driver: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
        self._driver = driver
        self._tenant_id = tenant_id

    async def row(self, kind: Kind, row_id: uuid.UUID) -> Row:
        """See Reads."""
        return await Repository(_STATEMENTS[kind.name], self._driver, self._tenant_id).get(row_id)

    async def page(self, kind: Kind, asked: Asked, order: str) -> bytes:
        """See Reads."""
        return pages.body(await Repository(_STATEMENTS[kind.name], self._driver, self._tenant_id).page(asked), order)


class Cached:
    """Out of the cache; what is not there, in a transaction of its own."""

    def __init__(self, cache: Cache, database: Database, tenant_id: uuid.UUID) -> None:
        self._cache = cache
        self._database = database
        self._tenant_id = tenant_id

    async def row(self, kind: Kind, row_id: uuid.UUID) -> Row:
        """See Reads."""

        async def load() -> Value | None:
            async with self._database.direct(self._tenant_id) as driver:
                try:
                    row = await Direct(driver, self._tenant_id).row(kind, row_id)
                except NotFound:
                    return None
            return Value(row.version, row.json.encode())

        found = await self._cache.read(Key.row(self._tenant_id, kind.table, row_id, shape=_SHAPES[kind.name]), load)
        if found is None:
            raise unknown(kind)
        return Row(row_id, found.version, found.body.decode())

    async def page(self, kind: Kind, asked: Asked, order: str) -> bytes:
        """See Reads."""

        async def load() -> Value:
            async with self._database.direct(self._tenant_id, pages=True) as driver:
                return Value(0, await Direct(driver, self._tenant_id).page(kind, asked, order))

        if asked.after is not None or asked.deleted or not asked.filters.keys() <= _FILTERS:
            return (await load()).body
        named = (asked.limit, order, sorted((name, str(value)) for name, value in asked.filters.items()))
        found = await self._cache.read(Key.page(self._tenant_id, kind.table, *named, shape=_SHAPES[kind.name]), load)
        assert found is not None  # noqa: S101 - an empty page is one
        return found.body


class Reading:
    """How this process reads, for whichever tenant."""

    def __init__(self, cache: Cache, database: Database) -> None:
        self._cache = cache
        self._database = database

    @property
    def usable(self) -> bool:
        """Whether the cache can be asked at all."""
        return self._cache.usable

    def of(self, tenant_id: uuid.UUID) -> Cached:
        """Reads of that tenant."""
        return Cached(self._cache, self._database, tenant_id)

    async def warm(self, tenant_id: uuid.UUID) -> int:
        """Have the cache hold the first pages of a tenant, and its projects and documents that changed last; how many
        values. What is there already costs a look. Raises DatabaseUnavailable."""
        reads, warmed = self.of(tenant_id), 0
        for kind in (PROJECT, DOCUMENT):
            await reads.page(kind, Asked(), "created_at")
            async with self._database.direct(tenant_id, pages=True) as driver:
                latest = await Repository(_STATEMENTS[kind.name], driver, tenant_id).latest(_WARM)
            for row_id in latest:
                try:
                    await reads.row(kind, row_id)
                except NotFound:  # it was deleted in this very moment
                    continue
            warmed += 1 + len(latest)
        return warmed
