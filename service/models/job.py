"""Work that outlives a request: what is to be done, when the next look at it is due, and what came of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base, TenantMixin, index

ARGS_LIMIT = 16 * 1024  # bytes of JSON
PART = 256 * 1024  # bytes of a result in one row
UNFINISHED = "status IN ('queued', 'running')"


class Job(TenantMixin, Base):
    """One piece of work. This row is the truth about it: whatever carries it about is only a messenger.

    `attempts` counts those that began. Whoever runs it holds `lease_token` until `lease_until`, and finishes it in a
    transaction that finds the token unchanged: who has lost it changes nothing. `unique_key` keeps a second one of its kind
    from being made while the first is not finished.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("kind ~ '^[a-z][a-z0-9_.-]{0,62}$'", name="kind"),
        CheckConstraint("status IN ('queued', 'running', 'done', 'dead', 'cancelled')", name="status"),
        CheckConstraint(f"jsonb_typeof(args) = 'object' AND octet_length(args::text) <= {ARGS_LIMIT}", name="args"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("length(message) <= 500", name="message"),
        CheckConstraint("length(error) <= 2000", name="error"),
        CheckConstraint("attempts >= 0 AND max_attempts BETWEEN 1 AND 100", name="attempts"),
        CheckConstraint("length(unique_key) BETWEEN 1 AND 200", name="unique_key"),
        CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name="lease_token"),
        CheckConstraint(f"({UNFINISHED}) = (finished_at IS NULL)", name="finished_at"),
        index(
            "ix_job_tenant_id_status", "tenant_id", "status", "id", serves="jobs of a status; those that are not finished"
        ),
        index(
            "uq_job_tenant_id_kind_unique_key",
            "tenant_id",
            "kind",
            "unique_key",
            unique=True,
            where=UNFINISHED,
            serves="the one of its kind and key that is not finished",
        ),
        index(
            "ix_job_tenant_id_finished_at",
            "tenant_id",
            "finished_at",
            "id",
            where="finished_at IS NOT NULL",
            serves="those that finished long enough ago to forget",
        ),
    )

    kind: Mapped[str]
    args: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    status: Mapped[str] = mapped_column(server_default="queued")
    progress: Mapped[int | None] = mapped_column()
    message: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(server_default=text("5"))
    error: Mapped[str | None]
    unique_key: Mapped[str | None]
    traceparent: Mapped[str | None]
    request_id: Mapped[str | None]
    run_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobDue(Base):
    """When a job that is not finished must be looked at: all that the relay sees of it, over all tenants.

    `waiting` until `run_at`; `sent` to a worker, and sent again when none has taken it by then; `running`, and given to
    another when its lease has not been prolonged by then.
    """

    __tablename__ = "job_due"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "job_id"], ["job.tenant_id", "job.id"], name="fk_job_due_job", ondelete="CASCADE"
        ),
        CheckConstraint("stage IN ('waiting', 'sent', 'running')", name="stage"),
        index("ix_job_due_tenant_id_run_at", "tenant_id", "run_at", "job_id", serves="what is due, of one tenant"),
        index(
            "ix_job_due_tenant_id_stage",
            "tenant_id",
            "run_at",
            where="stage <> 'waiting'",
            serves="how much of a tenant is with workers",
        ),
    )

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    run_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class JobResult(Base):
    """What a job has made, in parts, so that nobody has to hold all of it."""

    __tablename__ = "job_result"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "job_id"], ["job.tenant_id", "job.id"], name="fk_job_result_job", ondelete="CASCADE"
        ),
        CheckConstraint(f"octet_length(bytes) BETWEEN 1 AND {PART}", name="bytes"),
    )

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bytes: Mapped[bytes] = mapped_column(LargeBinary)
