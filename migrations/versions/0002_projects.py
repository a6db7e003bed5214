"""projects, documents, requests answered once; names and passwords of users

Revises: 0001
Create Date: 2026-11-24 14:00:00+00:00

The new tables are closed: row security without a policy, and no grant. 0004 opens them.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# Without a default and without a check: neither a rewrite nor a scan of a table in use.
_COLUMNS = """
ALTER TABLE app_user
  ADD COLUMN IF NOT EXISTS username text,
  ADD COLUMN IF NOT EXISTS password_hash text
"""

_PROJECT = """
CREATE TABLE project (
  tenant_id uuid NOT NULL,
  id uuid DEFAULT uuidv7() NOT NULL,
  slug text COLLATE "C" NOT NULL,
  name text NOT NULL,
  description text DEFAULT '' NOT NULL,
  status text DEFAULT 'active' NOT NULL,
  metadata jsonb DEFAULT '{}' NOT NULL,
  created_by uuid,
  row_version integer DEFAULT 1 NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  updated_at timestamptz DEFAULT now() NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT pk_project PRIMARY KEY (tenant_id, id),
  CONSTRAINT fk_project_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_project_app_user FOREIGN KEY (tenant_id, created_by) REFERENCES app_user (tenant_id, id)
    ON DELETE SET NULL (created_by),
  CONSTRAINT ck_project_slug CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  CONSTRAINT ck_project_name CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 200),
  CONSTRAINT ck_project_description CHECK (length(description) <= 4000),
  CONSTRAINT ck_project_status CHECK (status IN ('active', 'archived')),
  CONSTRAINT ck_project_metadata CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 16384)
)
"""

_DOCUMENT = """
CREATE TABLE document (
  tenant_id uuid NOT NULL,
  id uuid DEFAULT uuidv7() NOT NULL,
  project_id uuid NOT NULL,
  path text COLLATE "C" NOT NULL,
  slug text COLLATE "C" GENERATED ALWAYS AS (regexp_replace(path, '^.*/', '')) STORED NOT NULL,
  title text NOT NULL,
  type text DEFAULT 'markdown' NOT NULL,
  status text DEFAULT 'draft' NOT NULL,
  content text DEFAULT '' NOT NULL,
  version integer DEFAULT 1 NOT NULL,
  metadata jsonb DEFAULT '{}' NOT NULL,
  created_by uuid,
  row_version integer DEFAULT 1 NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  updated_at timestamptz DEFAULT now() NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT pk_document PRIMARY KEY (tenant_id, id),
  CONSTRAINT fk_document_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_document_project FOREIGN KEY (tenant_id, project_id) REFERENCES project (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_document_app_user FOREIGN KEY (tenant_id, created_by) REFERENCES app_user (tenant_id, id)
    ON DELETE SET NULL (created_by),
  CONSTRAINT ck_document_path CHECK
    (length(path) <= 512 AND path ~ '^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$'),
  CONSTRAINT ck_document_title CHECK (title = btrim(title) AND length(title) BETWEEN 1 AND 300),
  CONSTRAINT ck_document_type CHECK (type IN ('markdown', 'text', 'html', 'json')),
  CONSTRAINT ck_document_status CHECK (status IN ('draft', 'published', 'archived')),
  CONSTRAINT ck_document_content CHECK (octet_length(content) <= 1048576),
  CONSTRAINT ck_document_version CHECK (version >= 1),
  CONSTRAINT ck_document_metadata CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 16384)
)
"""

_IDEMPOTENT_REQUEST = """
CREATE TABLE idempotent_request (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  status integer,
  location text,
  etag text,
  response bytea,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_idempotent_request PRIMARY KEY (tenant_id, user_id, key),
  CONSTRAINT fk_idempotent_request_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_idempotent_request_app_user FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id)
    ON DELETE CASCADE,
  CONSTRAINT ck_idempotent_request_key CHECK (length(key) BETWEEN 1 AND 255),
  CONSTRAINT ck_idempotent_request_fingerprint CHECK (octet_length(fingerprint) = 32)
)
"""

_TABLES = ("project", "document", "idempotent_request")


def upgrade() -> None:
    """Columns in a transaction of their own, which locks one table alone; then tables, which lock out no reader."""
    with op.get_context().autocommit_block():
        op.execute(_COLUMNS)
    # Their foreign keys lock tenant, then app_user, against writers: the order of who makes or purges a tenant.
    for statement in (_PROJECT, _DOCUMENT, _IDEMPOTENT_REQUEST):
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Projects, documents and remembered answers are lost, and so are user names and passwords."""
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE app_user DROP COLUMN password_hash, DROP COLUMN username")
