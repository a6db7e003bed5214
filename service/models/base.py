"""What every table has in common."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, ForeignKey, ForeignKeyConstraint, Index, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, declared_attr, mapped_column
from sqlalchemy.sql import func

ACTIVE = "deleted_at IS NULL"
DELETED = "deleted_at IS NOT NULL"


class Base(DeclarativeBase):
    """Constraints are named by rule, so that migrations and error messages can rely on their names."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    # Text, not varchar: limits are CHECK constraints, which can change without rewriting a table.
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text(), datetime: DateTime(timezone=True)}


def new_id() -> MappedColumn[uuid.UUID]:
    """A key that the database makes: UUID version 7, so that rows made together lie together."""
    return mapped_column(primary_key=True, server_default=text("uuidv7()"))


def index(name: str, *columns: str, serves: str, unique: bool = False, where: str = "") -> Index:
    """An index that says which query it serves: its comment in the database, and a plan in the tests.

    Columns are named in the order of the index; `where` makes it a partial one.
    """
    condition = text(where) if where else None
    return Index(name, *columns, unique=unique, info={"serves": serves}, postgresql_where=condition)


def made_by(table: str) -> ForeignKeyConstraint:
    """Who made a row; when that user is purged, nobody did. Names its column, so that the tenant is never nulled."""
    return ForeignKeyConstraint(
        ["tenant_id", "created_by"],
        ["app_user.tenant_id", "app_user.id"],
        name=f"fk_{table}_app_user",
        ondelete="SET NULL (created_by)",
    )


class TenantMixin:
    """A row of one tenant. The key leads with the tenant, and so does every other key and index of such a table."""

    @declared_attr
    def tenant_id(cls) -> Mapped[uuid.UUID]:  # noqa: N805
        return mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True, sort_order=-2)

    @declared_attr
    def id(cls) -> Mapped[uuid.UUID]:  # noqa: N805
        return mapped_column(primary_key=True, server_default=text("uuidv7()"), sort_order=-1)


class TimestampMixin:
    """When the row was made and last changed, by the database's clock."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=91)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now(), sort_order=92)


class SoftDeleteMixin:
    """Deleted rows stay until they are purged; unique indexes count only rows where `deleted_at` is null."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=93)


class RowVersionMixin:
    """A number that grows with each change: what optimistic concurrency compares."""

    row_version: Mapped[int] = mapped_column(server_default=text("1"), sort_order=90)
