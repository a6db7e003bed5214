"""Tenants, their users, and the keys those sign in with."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base, RowVersionMixin, SoftDeleteMixin, TenantMixin, TimestampMixin, new_id

ACTIVE = text("deleted_at IS NULL")


class Tenant(RowVersionMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A customer of the platform. Everything else belongs to exactly one, and goes with it."""

    __tablename__ = "tenant"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'", name="slug"),
        CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("status IN ('active', 'suspended')", name="status"),
        # A tenant by its slug, as people name it.
        Index("uq_tenant_slug", "slug", unique=True, postgresql_where=ACTIVE),
    )

    id: Mapped[uuid.UUID] = new_id()
    slug: Mapped[str]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")


class User(RowVersionMixin, TimestampMixin, SoftDeleteMixin, TenantMixin, Base):
    """A person, within one tenant. The same address in two tenants is two users who know nothing of each other."""

    __tablename__ = "app_user"
    __table_args__ = (
        CheckConstraint("length(email) BETWEEN 3 AND 254 AND position('@' in email) > 1", name="email"),
        CheckConstraint(
            "display_name = btrim(display_name) AND length(display_name) BETWEEN 1 AND 200", name="display_name"
        ),
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="role"),
        # A user by address, whatever its case. An index over lower(email) would not do: lower() is not leakproof, and row
        # security keeps such an index from being used.
        Index("uq_app_user_tenant_id_email_norm", "tenant_id", "email_norm", unique=True, postgresql_where=ACTIVE),
    )

    email: Mapped[str]
    email_norm: Mapped[str] = mapped_column(Computed("lower(email)", persisted=True))
    display_name: Mapped[str]
    role: Mapped[str] = mapped_column(server_default="member")


class ApiKey(TenantMixin, Base):
    """A credential of a user. Only the SHA-256 of its secret is known here."""

    __tablename__ = "api_key"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["app_user.tenant_id", "app_user.id"],
            name="fk_api_key_app_user",
            ondelete="CASCADE",
        ),
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
        CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 200", name="name"),
        # The keys of a user, and the cascade when that user goes.
        Index("ix_api_key_tenant_id_user_id", "tenant_id", "user_id"),
    )

    user_id: Mapped[uuid.UUID]
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
