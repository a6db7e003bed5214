"""tenants, their users and API keys

Revises: nothing
Create Date: 2026-11-24 08:00:00+00:00
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

# PostgreSQL 18 has uuidv7(). Before it, this one: the time in milliseconds over a random UUID, version and variant set.
_UUIDV7 = """
DO $outer$ BEGIN
  IF current_setting('server_version_num')::int < 180000 THEN
    CREATE OR REPLACE FUNCTION public.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $inner$
      SELECT encode(
        set_bit(set_bit(overlay(
          uuid_send(gen_random_uuid())
          PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
        ), 52, 1), 53, 1), 'hex')::uuid
    $inner$;
  END IF;
END $outer$
"""

_TENANT = """
CREATE TABLE tenant (
  id uuid DEFAULT uuidv7() NOT NULL,
  slug text NOT NULL,
  name text NOT NULL,
  status text DEFAULT 'active' NOT NULL,
  row_version integer DEFAULT 1 NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  updated_at timestamptz DEFAULT now() NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT pk_tenant PRIMARY KEY (id),
  CONSTRAINT ck_tenant_slug CHECK (slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
  CONSTRAINT ck_tenant_name CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 200),
  CONSTRAINT ck_tenant_status CHECK (status IN ('active', 'suspended'))
)
"""

_APP_USER = """
CREATE TABLE app_user (
  tenant_id uuid NOT NULL,
  id uuid DEFAULT uuidv7() NOT NULL,
  email text NOT NULL,
  email_norm text GENERATED ALWAYS AS (lower(email)) STORED NOT NULL,
  display_name text NOT NULL,
  role text DEFAULT 'member' NOT NULL,
  row_version integer DEFAULT 1 NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  updated_at timestamptz DEFAULT now() NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT pk_app_user PRIMARY KEY (tenant_id, id),
  CONSTRAINT fk_app_user_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT ck_app_user_email CHECK (length(email) BETWEEN 3 AND 254 AND position('@' in email) > 1),
  CONSTRAINT ck_app_user_display_name CHECK (display_name = btrim(display_name) AND length(display_name) BETWEEN 1 AND 200),
  CONSTRAINT ck_app_user_role CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
)
"""

_API_KEY = """
CREATE TABLE api_key (
  tenant_id uuid NOT NULL,
  id uuid DEFAULT uuidv7() NOT NULL,
  user_id uuid NOT NULL,
  name text NOT NULL,
  secret_hash bytea NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  CONSTRAINT pk_api_key PRIMARY KEY (tenant_id, id),
  CONSTRAINT fk_api_key_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_api_key_app_user FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT ck_api_key_name CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 200),
  CONSTRAINT ck_api_key_secret_hash CHECK (octet_length(secret_hash) = 32)
)
"""

_INDEXES = (
    "CREATE UNIQUE INDEX uq_tenant_slug ON tenant (slug) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX uq_app_user_tenant_id_email_norm ON app_user (tenant_id, email_norm) WHERE deleted_at IS NULL",
    "CREATE INDEX ix_api_key_tenant_id_user_id ON api_key (tenant_id, user_id)",
)

# No missing_ok: without a bound tenant a query fails instead of finding nothing. No subquery and no function of ours:
# the condition stays an index condition. The owner has no policy, so even a mistake in a migration sees no row.
_BOUND = "current_setting('app.tenant_id')::uuid"
_POLICIES = (
    f"CREATE POLICY own_tenant ON tenant FOR SELECT TO jeex_app USING (id = {_BOUND})",
    "CREATE POLICY administration ON tenant TO jeex_admin USING (true) WITH CHECK (true)",
    *(
        f"CREATE POLICY own_tenant ON {table} TO jeex_app, jeex_admin "
        f"USING (tenant_id = {_BOUND}) WITH CHECK (tenant_id = {_BOUND})"
        for table in ("app_user", "api_key")
    ),
)

_GRANTS = (
    "GRANT SELECT ON alembic_version TO jeex_app, jeex_admin",  # readiness compares it with the code's own head
    "GRANT SELECT ON tenant TO jeex_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON tenant TO jeex_admin",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON app_user, api_key TO jeex_app, jeex_admin",
)


def upgrade() -> None:
    """Tables with their keys, then row security, then who may do what."""
    for statement in (_UUIDV7, _TENANT, _APP_USER, _API_KEY, *_INDEXES):
        op.execute(statement)
    for table in ("tenant", "app_user", "api_key"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for statement in (*_POLICIES, *_GRANTS):
        op.execute(statement)


def downgrade() -> None:
    """Everything goes, the rows too."""
    for table in ("api_key", "app_user", "tenant"):
        op.execute(f"DROP TABLE {table}")
    # In `public` only: the one in pg_catalog is PostgreSQL's own.
    op.execute("DROP FUNCTION IF EXISTS public.uuidv7()")
