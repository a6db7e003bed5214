"""Tenants, through the service's own code and the role that administers them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jeex_cli.ops import database
from jeex_cli.session import Session


def create(session: Session, slug: str, admin: str, name: str | None) -> dict[str, Any]:
    """A tenant, its owner and the owner's first key: `{"tenant": ..., "owner": ..., "key": ...}`.

    The key is the only copy. Raises UsageError for a name or address that breaks a rule, JeexError where the slug is taken.
    """
    from service.services import tenants

    made = database.in_transaction(session, lambda one: tenants.create(one, slug=slug, admin_email=admin, name=name))
    return {"tenant": asdict(made.tenant), "owner": asdict(made.owner), "key": made.key.reveal()}


def list_all(session: Session) -> list[dict[str, Any]]:
    """Every tenant, by slug."""
    from service.services import tenants

    return [asdict(one) for one in database.in_transaction(session, tenants.list_all)]


def show(session: Session, slug: str) -> dict[str, Any]:
    """One tenant with its users and keys. Raises JeexError where there is none of that name."""
    from service.services import tenants

    return asdict(database.in_transaction(session, lambda one: tenants.show(one, slug)))
