"""Tenants, their users, and the keys those sign in with."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKeyConstraint, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import (
    ACTIVE,
    DELETED,
    Base,
    RowVersionMixin,
    SoftDeleteMixin,
    TenantMixin,
    TimestampMixin,
    index,
    new_id,
)


class Tenant(RowVersionMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A customer of the platform. Everything else belongs to exactly one, and goes with it."""

    __tablename__ = "tenant"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'", name="slug"),
        CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("status IN ('active', 'suspended')", name="status"),
        index("uq_tenant_slug", "slug", unique=True, where=ACTIVE, serves="a tenant by the name people use; list by slug"),
        index("ix_tenant_name", "name", "id", where=ACTIVE, serves="list of tenants by name"),
        index("ix_tenant_updated_at", "updated_at", "id", where=ACTIVE, serves="list of tenants, last changed first"),
        index("ix_tenant_status", "status", "id", where=ACTIVE, serves="list of the suspended tenants"),
        index("ix_tenant_deleted_at", "deleted_at", "id", where=DELETED, serves="deleted tenants, to restore or to purge"),
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
        CheckConstraint("username ~ '^[a-z0-9][a-z0-9._-]{1,38}[a-z0-9]$'", name="username"),
        CheckConstraint(
            "display_name = btrim(display_name) AND length(display_name) BETWEEN 1 AND 200", name="display_name"
        ),
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="role"),
        CheckConstraint("password_hash LIKE '$argon2id$%'", name="password_hash"),
        # An index over lower(email) would not do: lower() is not leakproof, and row security keeps such an index from
        # being used. Hence the column.
        index(
            "uq_app_user_tenant_id_email_norm",
            "tenant_id",
            "email_norm",
            unique=True,
            where=ACTIVE,
            serves="a user by address, whatever its case; list by address",
        ),
        index(
            "uq_app_user_tenant_id_username",
            "tenant_id",
            "username",
            unique=True,
            where=ACTIVE,
            serves="a user by username",
        ),
        index("ix_app_user_tenant_id_id", "tenant_id", "id", where=ACTIVE, serves="list of users, oldest or newest first"),
        index(
            "ix_app_user_tenant_id_role", "tenant_id", "role", "id", where=ACTIVE, serves="users of a role; the last owner"
        ),
        index("ix_app_user_tenant_id_display_name", "tenant_id", "display_name", "id", where=ACTIVE, serves="list by name"),
        index(
            "ix_app_user_tenant_id_updated_at", "tenant_id", "updated_at", "id", where=ACTIVE, serves="last changed first"
        ),
        index("ix_app_user_tenant_id_deleted_at", "tenant_id", "deleted_at", "id", where=DELETED, serves="deleted users"),
    )

    email: Mapped[str]
    email_norm: Mapped[str] = mapped_column(Computed("lower(email)", persisted=True))
    username: Mapped[str | None]  # lower-case by constraint, so that it needs no second column
    display_name: Mapped[str]
    role: Mapped[str] = mapped_column(server_default="member")
    password_hash: Mapped[str | None]  # without one, a user signs in by API key alone


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
        CheckConstraint("expires_at > created_at", name="expires_at"),
        index(
            "ix_api_key_tenant_id_user_id", "tenant_id", "user_id", serves="keys of a user, and the cascade with that user"
        ),
        index("ix_api_key_tenant_id_id", "tenant_id", "id", where="revoked_at IS NULL", serves="keys that still hold"),
        index(
            "ix_api_key_tenant_id_expires_at",
            "tenant_id",
            "expires_at",
            "id",
            where="revoked_at IS NULL AND expires_at IS NOT NULL",
            serves="keys that expire soon",
        ),
    )

    user_id: Mapped[uuid.UUID]
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
