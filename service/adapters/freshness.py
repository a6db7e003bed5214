"""Which tables a transaction has changed, and who must hear of it around its COMMIT.

Whatever writes rows says so here (`touch`), in the transaction at hand; `Database` collects it and tells `Changes` before
the COMMIT and after it, before anybody learns that it was done. So a process cannot forget to: it is not asked to remember.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Scope = tuple[uuid.UUID, str]  # a tenant's rows of one table
# Of whose rows there are copies. What others change concerns nobody.
CACHED = frozenset({"project", "document"})
_touched: ContextVar[set[Scope] | None] = ContextVar("touched", default=None)


class Changes(Protocol):
    """Who keeps copies of rows."""

    async def announce(self, scopes: frozenset[Scope]) -> bool:
        """These are about to change: nobody may go by a copy until `done`. Whether that could be said to everybody."""

    async def done(self, scopes: frozenset[Scope], *, announced: bool) -> None:
        """They have changed, or not: copies from before are worth nothing."""


def touch(tenant_id: uuid.UUID, table: str) -> None:
    """Rows of that table of that tenant change in the transaction at hand."""
    scopes = _touched.get()
    if scopes is not None and table in CACHED:
        scopes.add((tenant_id, table))


@contextmanager
def collected() -> Iterator[set[Scope]]:
    """What is touched within."""
    before, scopes = _touched.get(), set[Scope]()
    _touched.set(scopes)
    try:
        yield scopes
    finally:
        _touched.set(before)
