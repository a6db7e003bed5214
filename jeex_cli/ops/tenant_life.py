"""What becomes of a tenant after it was made: looked at, renamed, suspended, deleted, purged."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from jeex_cli import state
from jeex_cli.errors import UsageError
from jeex_cli.ops import administration, safety
from jeex_cli.session import Session

if TYPE_CHECKING:
    import asyncpg

    from service.adapters.database import Database
    from service.services.tenant_life import Found

    Step = Callable[[asyncpg.Connection, Found], Awaitable[None]]

VARIABLE = "JEEX_TENANT"


def chosen(session: Session, slug: str | None) -> str:
    """`slug`, or the tenant that this shell or this project works with. Raises UsageError where there is none."""
    found = slug or session.settings.given(VARIABLE)
    if found:
        return found
    raise UsageError(
        "which tenant? None is named, and none was chosen",
        code="TENANT_NEEDED",
        hint="name one (jeex tenant list), or choose one for the commands to come: jeex tenant use SLUG",
    )


def use(session: Session, slug: str | None) -> dict[str, Any]:
    """Remember `slug` as the tenant that commands mean where none is named; None forgets it.

    Raises JeexError for an unknown tenant.
    """
    if slug is not None:
        slug = str(find(session, slug)["slug"])
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        fresh = session.anew()
        state.save(session.project, replace(fresh.state, tenant=slug))
    return {"tenant": slug, "overridden_by": session.environ.get(VARIABLE) or None}


def find(session: Session, slug: str) -> dict[str, Any]:
    """The tenant of that slug or id, deleted or not. Raises JeexError."""

    async def work(found: Database) -> dict[str, Any]:
        from service.services import tenant_life

        async with found.direct() as driver:
            return asdict(await tenant_life.find(driver, slug))

    return administration.work(session, work)


def size(session: Session, slug: str) -> dict[str, Any]:
    """How much the tenant has: `counts`, `rows` and `bytes` by table, `last_activity`. Raises JeexError."""

    async def work(found: Database) -> dict[str, Any]:
        from service.services import tenant_life

        async with found.direct() as driver:
            tenant = await tenant_life.find(driver, slug)
            return asdict(await tenant_life.size(driver, tenant.id))

    return administration.work(session, work)


def rename(session: Session, slug: str, *, new_slug: str | None, name: str | None) -> dict[str, Any]:
    """The tenant under another slug, name, or both. Raises UsageError, JeexError (SLUG_TAKEN)."""
    if new_slug is None and name is None:
        raise UsageError("this names nothing new", hint=f"jeex tenant rename {shlex.quote(slug)} NEW_SLUG --name TEXT")

    async def step(driver: asyncpg.Connection, one: Found) -> None:
        from service.services import tenant_life

        await tenant_life.rename(driver, one.id, slug=new_slug, name=name)

    before, after = _step(session, slug, step)
    if new_slug is not None and session.state.tenant == before["slug"]:
        use(session, new_slug)
    return {"before": before, "tenant": after}


def set_status(session: Session, slug: str, status: str) -> dict[str, Any]:
    """The tenant active or suspended. `changed` is False where it was so before. Raises JeexError."""

    async def step(driver: asyncpg.Connection, one: Found) -> None:
        from service.adapters.repository import ANY
        from service.services import tenant_life

        await tenant_life.change(driver, one.id, ANY, {"status": status})

    before, after = _step(session, slug, step)
    return {"tenant": after, "changed": before["status"] != status}


def restore(session: Session, slug: str) -> dict[str, Any]:
    """A deleted tenant as it was. Raises JeexError where it is not deleted, or its slug is another's by now."""

    async def step(driver: asyncpg.Connection, one: Found) -> None:
        from service.services import tenant_life

        await tenant_life.restore(driver, one.id)

    return {"tenant": _step(session, slug, step)[1]}


def delete(session: Session, tenant_id: str, *, purge: bool) -> dict[str, Any]:
    """Delete the tenant of that id; with `purge` for good, after a snapshot. Raises JeexError."""
    snapshot = safety.before_loss(session, f"purging the tenant {tenant_id}") if purge else None

    async def work(found: Database) -> dict[str, Any]:
        from service.services import tenant_life

        async with found.direct() as driver:
            one = await tenant_life.find(driver, tenant_id)
            if one.deleted_at is None:
                await tenant_life.delete(driver, one.id)
            if purge:
                await tenant_life.purge(driver, one.id)
            return asdict(one)

    gone = administration.work(session, work)
    return {"tenant": gone, "purged": purge, "changed": purge or gone["deleted_at"] is None, "snapshot": snapshot}


def _step(session: Session, slug: str, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tenant before and after `step`, in one transaction."""

    async def work(found: Database) -> tuple[dict[str, Any], dict[str, Any]]:
        from service.services import tenant_life

        async with found.direct() as driver:
            before = await tenant_life.find(driver, slug)
            await step(driver, before)
            return asdict(before), asdict(await tenant_life.find(driver, str(before.id)))

    return administration.work(session, work, {"TENANT_UNKNOWN": "jeex tenant list", "NOT_DELETED": "jeex tenant list"})
