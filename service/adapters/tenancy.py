"""The second lock on the door: SQLAlchemy's sessions add the tenant to what they send, and refuse what has none.

Row security in PostgreSQL is the first. This one also speaks up where no tenant is bound, before anything is sent. It
reaches what goes through the ORM; Core statements, `text()` and the driver are kept inside the adapters, which say the
tenant themselves.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from service.core.errors import TenantNotBound
from service.models import TenantMixin

_KEY = "tenant_id"


class TenantSession(Session):
    """A session that knows its tenant, in `info["tenant_id"]`."""


def bound(session: Session) -> uuid.UUID:
    """The tenant of a session. Raises TenantNotBound."""
    tenant_id = session.info.get(_KEY)
    if not isinstance(tenant_id, uuid.UUID):
        raise TenantNotBound("a tenant's rows were asked for outside of a transaction of that tenant")
    return tenant_id


@event.listens_for(TenantSession, "do_orm_execute")
def _add_tenant(state: ORMExecuteState) -> None:
    if not any(issubclass(mapper.class_, TenantMixin) for mapper in state.all_mappers):
        return
    tenant_id = bound(state.session)
    if state.is_insert:
        _check_values(state.parameters, tenant_id)
        return
    state.statement = state.statement.options(
        with_loader_criteria(TenantMixin, lambda table: table.tenant_id == tenant_id, include_aliases=True)
    )


@event.listens_for(TenantSession, "before_flush")
def _check_tenant(session: Session, _context: Any, _instances: Any) -> None:
    for one in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(one, TenantMixin):
            continue
        tenant_id = bound(session)
        before = inspect(one).attrs.tenant_id.history.deleted
        if one.tenant_id is None:
            one.tenant_id = tenant_id
        if one.tenant_id != tenant_id or any(was != tenant_id for was in before or ()):
            raise TenantNotBound(f"a {type(one).__name__} of another tenant was about to be written")


def _check_values(parameters: Any, tenant_id: uuid.UUID) -> None:
    rows = parameters if isinstance(parameters, list) else [parameters or {}]
    if any(row.get(_KEY, tenant_id) != tenant_id for row in rows):
        raise TenantNotBound("rows of another tenant were about to be written")
