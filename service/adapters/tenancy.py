"""The second lock on the door: SQLAlchemy's sessions add the tenant to what they send, and refuse what has none.

Row security in PostgreSQL is the first. This one also speaks up where no tenant is bound, before anything is sent. It
reaches what goes through the ORM, wherever in a statement a model stands; Core statements, `text()` and the driver are kept
inside the adapters, which say the tenant themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy import BindParameter, ColumnElement, event, inspect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, with_loader_criteria

from service.adapters.freshness import touch
from service.core.errors import TenantNotBound
from service.models import TenantMixin

_KEY = "tenant_id"
_OUTSIDE = "a tenant's rows were asked for outside of a transaction of that tenant"


class TenantSession(Session):
    """A session that knows its tenant, in `info["tenant_id"]`."""


def bound(session: Session) -> uuid.UUID:
    """The tenant of a session. Raises TenantNotBound."""
    tenant_id = session.info.get(_KEY)
    if not isinstance(tenant_id, uuid.UUID):
        raise TenantNotBound(_OUTSIDE)
    return tenant_id


class _Nobodys(ColumnElement[bool]):
    """A condition that no statement can be sent with."""

    _traverse_internals = []  # noqa: RUF012 - all are the same: what holds one can be cached


@compiles(_Nobodys)
def _refuse(_element: _Nobodys, _compiler: Any, **_options: Any) -> NoReturn:
    raise TenantNotBound(_OUTSIDE)


_NOBODYS = _Nobodys()


@event.listens_for(TenantSession, "do_orm_execute")
def _add_tenant(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        return
    if any(issubclass(mapper.class_, TenantMixin) for mapper in state.all_mappers):
        bound(state.session)
    if state.is_insert or state.is_update:
        _check_values(state)
    if (state.is_insert or state.is_update or state.is_delete) and state.bind_mapper is not None:
        _touch_table(state.session, state.bind_mapper)
    # Also where no model of a tenant is what is asked for: a count, a join or an EXISTS tells of rows as well.
    tenant_id = state.session.info.get(_KEY)
    if tenant_id is None:
        criteria = with_loader_criteria(TenantMixin, lambda _table: _NOBODYS, include_aliases=True)
    else:
        criteria = with_loader_criteria(TenantMixin, lambda table: table.tenant_id == tenant_id, include_aliases=True)
    state.statement = state.statement.options(criteria)


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
        touch(tenant_id, str(inspect(one).mapper.local_table))


def _touch_table(session: Session, mapper: Mapper[Any]) -> None:
    if issubclass(mapper.class_, TenantMixin):
        touch(bound(session), str(mapper.local_table))


def _check_values(state: ORMExecuteState) -> None:
    """What an INSERT or UPDATE says of the tenant, with its parameters or with values() (which has no public name)."""
    statement: Any = state.statement
    given = (state.parameters, statement._values, *statement._multi_values)
    for row in (row for rows in given for row in ([rows] if isinstance(rows, Mapping) else rows or ())):
        named = row if isinstance(row, Mapping) else dict(zip(statement.table.c, row, strict=False))
        for column, value in named.items():
            if getattr(column, "key", column) == _KEY:
                tenant_id = bound(state.session)
                if (value.value if isinstance(value, BindParameter) else value) != tenant_id:
                    raise TenantNotBound("rows of another tenant were about to be written")
