"""Requests that must not be carried out twice."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base, index


class IdempotentRequest(Base):
    """A POST with an Idempotency-Key, and what was answered. Written in the transaction of the work itself.

    One row a tenant, user and key. `fingerprint` is the SHA-256 of method, path and body; `response` is the answer's body.
    """

    __tablename__ = "idempotent_request"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["app_user.tenant_id", "app_user.id"],
            name="fk_idempotent_request_app_user",
            ondelete="CASCADE",
        ),
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
        CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint"),
        index(
            "ix_idempotent_request_tenant_id_created_at",
            "tenant_id",
            "created_at",
            serves="those that are old enough to forget",
        ),
    )

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]
    location: Mapped[str | None]
    etag: Mapped[str | None]
    response: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
