"""Projects and their documents."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import JSONB
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
    made_by,
)

CONTENT_LIMIT = 1024 * 1024  # bytes of UTF-8
METADATA_LIMIT = 16 * 1024  # bytes of JSON, as PostgreSQL writes it

_METADATA = f"jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= {METADATA_LIMIT}"
# What sorts and compares as bytes: its prefixes are ranges, which an index answers under row security.
_PLAIN = Text(collation="C")


class Project(RowVersionMixin, TimestampMixin, SoftDeleteMixin, TenantMixin, Base):
    """A body of documents of one tenant."""

    __tablename__ = "project"
    __table_args__ = (
        made_by("project"),
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'", name="slug"),
        CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("length(description) <= 4000", name="description"),
        CheckConstraint("status IN ('active', 'archived')", name="status"),
        CheckConstraint(_METADATA, name="metadata"),
        index("uq_project_tenant_id_slug", "tenant_id", "slug", unique=True, where=ACTIVE, serves="by slug; list by slug"),
        index("ix_project_tenant_id_id", "tenant_id", "id", where=ACTIVE, serves="list of projects, oldest or newest first"),
        index("ix_project_tenant_id_name", "tenant_id", "name", "id", where=ACTIVE, serves="list by name"),
        index("ix_project_tenant_id_updated_at", "tenant_id", "updated_at", "id", where=ACTIVE, serves="last changed first"),
        index("ix_project_tenant_id_status", "tenant_id", "status", "id", where=ACTIVE, serves="the archived, or those not"),
        index("ix_project_tenant_id_created_by", "tenant_id", "created_by", "id", serves="projects that a user made"),
        index("ix_project_tenant_id_deleted_at", "tenant_id", "deleted_at", "id", where=DELETED, serves="deleted projects"),
    )

    slug: Mapped[str] = mapped_column(_PLAIN)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default="active")
    extra: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    created_by: Mapped[uuid.UUID | None]


class Document(RowVersionMixin, TimestampMixin, SoftDeleteMixin, TenantMixin, Base):
    """A text at a path of a project. `version` counts its editions; `row_version` counts every change of the row."""

    __tablename__ = "document"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.id"],
            name="fk_document_project",
            ondelete="CASCADE",
        ),
        made_by("document"),
        CheckConstraint(
            "length(path) <= 512 AND path ~ '^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$'",
            name="path",
        ),
        CheckConstraint("title = btrim(title) AND length(title) BETWEEN 1 AND 300", name="title"),
        CheckConstraint("type IN ('markdown', 'text', 'html', 'json')", name="type"),
        CheckConstraint("status IN ('draft', 'published', 'archived')", name="status"),
        CheckConstraint(f"octet_length(content) <= {CONTENT_LIMIT}", name="content"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(_METADATA, name="metadata"),
        index(
            "uq_document_tenant_id_project_id_path",
            "tenant_id",
            "project_id",
            "path",
            unique=True,
            where=ACTIVE,
            serves="a document by its path; everything below a path; list by path",
        ),
        index(
            "ix_document_tenant_id_project_id_id",
            "tenant_id",
            "project_id",
            "id",
            serves="list of a project's documents; the cascade when a project is purged",
        ),
        index(
            "ix_document_tenant_id_project_id_title",
            "tenant_id",
            "project_id",
            "title",
            "id",
            where=ACTIVE,
            serves="a project's documents by title",
        ),
        index(
            "ix_document_tenant_id_project_id_updated_at",
            "tenant_id",
            "project_id",
            "updated_at",
            "id",
            where=ACTIVE,
            serves="a project's documents, last changed first",
        ),
        index(
            "ix_document_tenant_id_project_id_status",
            "tenant_id",
            "project_id",
            "status",
            "id",
            where=ACTIVE,
            serves="a project's drafts, published or archived documents",
        ),
        index(
            "ix_document_tenant_id_project_id_deleted_at",
            "tenant_id",
            "project_id",
            "deleted_at",
            "id",
            where=DELETED,
            serves="what went with a project, to restore it with it",
        ),
        index("ix_document_tenant_id_id", "tenant_id", "id", where=ACTIVE, serves="list over all projects, by age"),
        index("ix_document_tenant_id_updated_at", "tenant_id", "updated_at", "id", where=ACTIVE, serves="recent changes"),
        index("ix_document_tenant_id_type", "tenant_id", "type", "id", where=ACTIVE, serves="documents of a type"),
        index("ix_document_tenant_id_slug", "tenant_id", "slug", "id", where=ACTIVE, serves="documents named so, anywhere"),
        index("ix_document_tenant_id_created_by", "tenant_id", "created_by", "id", serves="documents that a user made"),
        index(
            "ix_document_tenant_id_deleted_at", "tenant_id", "deleted_at", "id", where=DELETED, serves="deleted documents"
        ),
    )

    project_id: Mapped[uuid.UUID]
    path: Mapped[str] = mapped_column(_PLAIN)
    # The last part of the path: one fact in one place.
    slug: Mapped[str] = mapped_column(_PLAIN, Computed("regexp_replace(path, '^.*/', '')", persisted=True))
    title: Mapped[str]
    type: Mapped[str] = mapped_column(server_default="markdown")
    status: Mapped[str] = mapped_column(server_default="draft")
    content: Mapped[str] = mapped_column(server_default="")
    version: Mapped[int] = mapped_column(server_default=text("1"))
    extra: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    created_by: Mapped[uuid.UUID | None]
