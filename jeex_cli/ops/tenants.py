"""Tenants, through the service's own code and the role that administers them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from jeex_cli.ops import database
from jeex_cli.session import Session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")


def create(session: Session, slug: str, admin: str, name: str | None) -> dict[str, Any]:
    """A tenant, its owner and the owner's first key: `{"tenant": ..., "owner": ..., "key": ...}`.

    The key is the only copy. Raises UsageError for a name or address that breaks a rule, JeexError where the slug is taken.
    """
    from service.services import tenants

    made = _in_transaction(session, lambda one: tenants.create(one, slug=slug, admin_email=admin, name=name))
    return {"tenant": asdict(made.tenant), "owner": asdict(made.owner), "key": made.key.reveal()}


def list_all(session: Session) -> list[dict[str, Any]]:
    """Every tenant, by slug."""
    from service.services import tenants

    return [asdict(one) for one in _in_transaction(session, tenants.list_all)]


def show(session: Session, slug: str) -> dict[str, Any]:
    """One tenant with its users and keys. Raises JeexError where there is none of that name."""
    from service.services import tenants

    return asdict(_in_transaction(session, lambda one: tenants.show(one, slug)))


def _in_transaction(session: Session, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    from service.adapters.database import Database
    from service.core.settings import Secret

    async def run() -> T:
        url = Secret(database.url(session, "admin"))
        async with Database(url, pool_size=1, name="jeex-cli") as pool, pool.transaction() as transaction:
            return await work(transaction)

    with database.translated():
        return asyncio.run(run())
