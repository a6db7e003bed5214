"""indexes, most of them over the rows that are not deleted; each says which query it serves

Revises: 0002
Create Date: 2026-11-24 14:05:00+00:00

CONCURRENTLY, and so outside of a transaction: nobody's writes wait. Interrupted, the revision goes on where it stopped.
"""

from __future__ import annotations

from alembic import context, op

revision = "0003"
down_revision = "0002"

# CONCURRENTLY waits for every transaction that is under way, a backup's too. Nobody waits for it meanwhile, so it may take
# longer than the runner lets statements wait that lock others out.
_PATIENCE = "SET lock_timeout = '10min'"
_AS_BEFORE = "RESET lock_timeout"

# name, "UNIQUE " or "", table, columns, condition
_INDEXES = (
    ("ix_tenant_deleted_at", "", "tenant", "deleted_at, id", "deleted_at IS NOT NULL"),
    ("ix_tenant_name", "", "tenant", "name, id", "deleted_at IS NULL"),
    ("ix_tenant_status", "", "tenant", "status, id", "deleted_at IS NULL"),
    ("ix_tenant_updated_at", "", "tenant", "updated_at, id", "deleted_at IS NULL"),
    ("ix_app_user_tenant_id_deleted_at", "", "app_user", "tenant_id, deleted_at, id", "deleted_at IS NOT NULL"),
    ("ix_app_user_tenant_id_display_name", "", "app_user", "tenant_id, display_name, id", "deleted_at IS NULL"),
    ("ix_app_user_tenant_id_id", "", "app_user", "tenant_id, id", "deleted_at IS NULL"),
    ("ix_app_user_tenant_id_role", "", "app_user", "tenant_id, role, id", "deleted_at IS NULL"),
    ("ix_app_user_tenant_id_updated_at", "", "app_user", "tenant_id, updated_at, id", "deleted_at IS NULL"),
    ("uq_app_user_tenant_id_username", "UNIQUE ", "app_user", "tenant_id, username", "deleted_at IS NULL"),
    (
        "ix_api_key_tenant_id_expires_at",
        "",
        "api_key",
        "tenant_id, expires_at, id",
        "revoked_at IS NULL AND expires_at IS NOT NULL",
    ),
    ("ix_api_key_tenant_id_id", "", "api_key", "tenant_id, id", "revoked_at IS NULL"),
    ("ix_idempotent_request_tenant_id_created_at", "", "idempotent_request", "tenant_id, created_at", ""),
    ("ix_project_tenant_id_created_by", "", "project", "tenant_id, created_by, id", ""),
    ("ix_project_tenant_id_deleted_at", "", "project", "tenant_id, deleted_at, id", "deleted_at IS NOT NULL"),
    ("ix_project_tenant_id_id", "", "project", "tenant_id, id", "deleted_at IS NULL"),
    ("ix_project_tenant_id_name", "", "project", "tenant_id, name, id", "deleted_at IS NULL"),
    ("ix_project_tenant_id_status", "", "project", "tenant_id, status, id", "deleted_at IS NULL"),
    ("ix_project_tenant_id_updated_at", "", "project", "tenant_id, updated_at, id", "deleted_at IS NULL"),
    ("uq_project_tenant_id_slug", "UNIQUE ", "project", "tenant_id, slug", "deleted_at IS NULL"),
    ("ix_document_tenant_id_created_by", "", "document", "tenant_id, created_by, id", ""),
    ("ix_document_tenant_id_deleted_at", "", "document", "tenant_id, deleted_at, id", "deleted_at IS NOT NULL"),
    ("ix_document_tenant_id_id", "", "document", "tenant_id, id", "deleted_at IS NULL"),
    (
        "ix_document_tenant_id_project_id_deleted_at",
        "",
        "document",
        "tenant_id, project_id, deleted_at, id",
        "deleted_at IS NOT NULL",
    ),
    ("ix_document_tenant_id_project_id_id", "", "document", "tenant_id, project_id, id", ""),
    ("ix_document_tenant_id_project_id_status", "", "document", "tenant_id, project_id, status, id", "deleted_at IS NULL"),
    ("ix_document_tenant_id_project_id_title", "", "document", "tenant_id, project_id, title, id", "deleted_at IS NULL"),
    (
        "ix_document_tenant_id_project_id_updated_at",
        "",
        "document",
        "tenant_id, project_id, updated_at, id",
        "deleted_at IS NULL",
    ),
    ("ix_document_tenant_id_slug", "", "document", "tenant_id, slug, id", "deleted_at IS NULL"),
    ("ix_document_tenant_id_type", "", "document", "tenant_id, type, id", "deleted_at IS NULL"),
    ("ix_document_tenant_id_updated_at", "", "document", "tenant_id, updated_at, id", "deleted_at IS NULL"),
    ("uq_document_tenant_id_project_id_path", "UNIQUE ", "document", "tenant_id, project_id, path", "deleted_at IS NULL"),
)
_SERVES = (
    ("pk_tenant", "one row by its key"),
    ("ix_tenant_deleted_at", "deleted tenants, to restore or to purge"),
    ("ix_tenant_name", "list of tenants by name"),
    ("ix_tenant_status", "list of the suspended tenants"),
    ("ix_tenant_updated_at", "list of tenants, last changed first"),
    ("uq_tenant_slug", "a tenant by the name people use; list by slug"),
    ("pk_app_user", "one row by its key"),
    ("ix_app_user_tenant_id_deleted_at", "deleted users"),
    ("ix_app_user_tenant_id_display_name", "list by name"),
    ("ix_app_user_tenant_id_id", "list of users, oldest or newest first"),
    ("ix_app_user_tenant_id_role", "users of a role; the last owner"),
    ("ix_app_user_tenant_id_updated_at", "last changed first"),
    ("uq_app_user_tenant_id_email_norm", "a user by address, whatever its case; list by address"),
    ("uq_app_user_tenant_id_username", "a user by username"),
    ("pk_api_key", "one row by its key"),
    ("ix_api_key_tenant_id_expires_at", "keys that expire soon"),
    ("ix_api_key_tenant_id_id", "keys that still hold"),
    ("ix_api_key_tenant_id_user_id", "keys of a user, and the cascade with that user"),
    ("pk_idempotent_request", "one row by its key"),
    ("ix_idempotent_request_tenant_id_created_at", "those that are old enough to forget"),
    ("pk_project", "one row by its key"),
    ("ix_project_tenant_id_created_by", "projects that a user made"),
    ("ix_project_tenant_id_deleted_at", "deleted projects"),
    ("ix_project_tenant_id_id", "list of projects, oldest or newest first"),
    ("ix_project_tenant_id_name", "list by name"),
    ("ix_project_tenant_id_status", "the archived, or those not"),
    ("ix_project_tenant_id_updated_at", "last changed first"),
    ("uq_project_tenant_id_slug", "by slug; list by slug"),
    ("pk_document", "one row by its key"),
    ("ix_document_tenant_id_created_by", "documents that a user made"),
    ("ix_document_tenant_id_deleted_at", "deleted documents"),
    ("ix_document_tenant_id_id", "list over all projects, by age"),
    ("ix_document_tenant_id_project_id_deleted_at", "what went with a project, to restore it with it"),
    ("ix_document_tenant_id_project_id_id", "list of a project's documents; the cascade when a project is purged"),
    ("ix_document_tenant_id_project_id_status", "a project's drafts, published or archived documents"),
    ("ix_document_tenant_id_project_id_title", "a project's documents by title"),
    ("ix_document_tenant_id_project_id_updated_at", "a project's documents, last changed first"),
    ("ix_document_tenant_id_slug", "documents named so, anywhere"),
    ("ix_document_tenant_id_type", "documents of a type"),
    ("ix_document_tenant_id_updated_at", "recent changes"),
    ("uq_document_tenant_id_project_id_path", "a document by its path; everything below a path; list by path"),
)


def upgrade() -> None:
    """Indexes one by one, then what each is for."""
    with op.get_context().autocommit_block():
        op.execute(_PATIENCE)
        for name, unique, table, columns, condition in _INDEXES:
            _drop_invalid(name)
            where = f" WHERE {condition}" if condition else ""
            op.execute(f"CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({columns}){where}")
        op.execute(_AS_BEFORE)
    for name, serves in _SERVES:
        quoted = serves.replace("'", "''")
        op.execute(f"COMMENT ON INDEX {name} IS '{quoted}'")


def downgrade() -> None:
    """The remarks go, and the indexes."""
    for name, _ in _SERVES:
        op.execute(f"COMMENT ON INDEX {name} IS NULL")
    with op.get_context().autocommit_block():
        op.execute(_PATIENCE)
        for name, *_ in reversed(_INDEXES):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(_AS_BEFORE)


def _drop_invalid(name: str) -> None:
    """CREATE INDEX CONCURRENTLY that was interrupted leaves an index that is kept up to date and never used."""
    if context.is_offline_mode():
        return
    invalid = op.get_bind().exec_driver_sql(
        f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('public.{name}') AND NOT indisvalid"  # noqa: S608
    )
    if invalid.first() is not None:
        op.execute(f"DROP INDEX CONCURRENTLY {name}")
