"""jobs: what is to be done, when the next look at it is due, what came of it

Revises: 0004
Create Date: 2026-11-26 12:00:00+00:00
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_JOB = """
CREATE TABLE job (
  tenant_id uuid NOT NULL,
  id uuid DEFAULT uuidv7() NOT NULL,
  kind text NOT NULL,
  args jsonb DEFAULT '{}' NOT NULL,
  status text DEFAULT 'queued' NOT NULL,
  progress integer,
  message text DEFAULT '' NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  max_attempts integer DEFAULT 5 NOT NULL,
  error text,
  unique_key text,
  traceparent text,
  request_id text,
  run_at timestamptz DEFAULT now() NOT NULL,
  lease_token uuid,
  lease_until timestamptz,
  cancel_requested boolean DEFAULT false NOT NULL,
  result jsonb,
  created_at timestamptz DEFAULT now() NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT pk_job PRIMARY KEY (tenant_id, id),
  CONSTRAINT fk_job_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT ck_job_kind CHECK (kind ~ '^[a-z][a-z0-9_.-]{0,62}$'),
  CONSTRAINT ck_job_status CHECK (status IN ('queued', 'running', 'done', 'dead', 'cancelled')),
  CONSTRAINT ck_job_args CHECK (jsonb_typeof(args) = 'object' AND octet_length(args::text) <= 16384),
  CONSTRAINT ck_job_progress CHECK (progress BETWEEN 0 AND 100),
  CONSTRAINT ck_job_message CHECK (length(message) <= 500),
  CONSTRAINT ck_job_error CHECK (length(error) <= 2000),
  CONSTRAINT ck_job_attempts CHECK (attempts >= 0 AND max_attempts BETWEEN 1 AND 100),
  CONSTRAINT ck_job_unique_key CHECK (length(unique_key) BETWEEN 1 AND 200),
  CONSTRAINT ck_job_lease_token CHECK ((status = 'running') = (lease_token IS NOT NULL)),
  CONSTRAINT ck_job_finished_at CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
)
"""

_JOB_DUE = """
CREATE TABLE job_due (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  stage text DEFAULT 'waiting' NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  run_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_job_due PRIMARY KEY (tenant_id, job_id),
  CONSTRAINT fk_job_due_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_job_due_job FOREIGN KEY (tenant_id, job_id) REFERENCES job (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT ck_job_due_stage CHECK (stage IN ('waiting', 'sent', 'running'))
)
"""

_JOB_RESULT = """
CREATE TABLE job_result (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  part integer NOT NULL,
  bytes bytea NOT NULL,
  CONSTRAINT pk_job_result PRIMARY KEY (tenant_id, job_id, part),
  CONSTRAINT fk_job_result_tenant FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
  CONSTRAINT fk_job_result_job FOREIGN KEY (tenant_id, job_id) REFERENCES job (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT ck_job_result_bytes CHECK (octet_length(bytes) BETWEEN 1 AND 262144)
)
"""

# The tables are new and empty: their indexes need no CONCURRENTLY.
_INDEXES = (
    "CREATE INDEX ix_job_tenant_id_status ON job (tenant_id, status, id)",
    "CREATE UNIQUE INDEX uq_job_tenant_id_kind_unique_key ON job (tenant_id, kind, unique_key) "
    "WHERE status IN ('queued', 'running')",
    "CREATE INDEX ix_job_tenant_id_finished_at ON job (tenant_id, finished_at, id) WHERE finished_at IS NOT NULL",
    "CREATE INDEX ix_job_due_tenant_id_run_at ON job_due (tenant_id, run_at, job_id)",
    "CREATE INDEX ix_job_due_tenant_id_stage ON job_due (tenant_id, run_at) WHERE stage <> 'waiting'",
)
_SERVES = (
    ("pk_job", "one row by its key"),
    ("ix_job_tenant_id_status", "jobs of a status; those that are not finished"),
    ("uq_job_tenant_id_kind_unique_key", "the one of its kind and key that is not finished"),
    ("ix_job_tenant_id_finished_at", "those that finished long enough ago to forget"),
    ("pk_job_due", "one row by its key"),
    ("ix_job_due_tenant_id_run_at", "what is due, of one tenant"),
    ("ix_job_due_tenant_id_stage", "how much of a tenant is with workers"),
    ("pk_job_result", "one row by its key"),
)

_TABLES = ("job", "job_due", "job_result")
# The form of 0001, and for its reasons. The relay (jeex_admin) sees when jobs are due, of every tenant, and nothing else.
_BOUND = "current_setting('app.tenant_id')::uuid"
_POLICIES = (
    *(
        f"CREATE POLICY own_tenant ON {table} TO jeex_app, jeex_admin "
        f"USING (tenant_id = {_BOUND}) WITH CHECK (tenant_id = {_BOUND})"
        for table in ("job", "job_result")
    ),
    f"CREATE POLICY own_tenant ON job_due TO jeex_app USING (tenant_id = {_BOUND}) WITH CHECK (tenant_id = {_BOUND})",
    "CREATE POLICY relay ON job_due TO jeex_admin USING (true) WITH CHECK (true)",
)


def upgrade() -> None:
    """Tables with their keys and indexes, row security, then who may do what."""
    for statement in (_JOB, _JOB_DUE, _JOB_RESULT, *_INDEXES):
        op.execute(statement)
    for name, serves in _SERVES:
        op.execute(f"COMMENT ON INDEX {name} IS '{serves}'")
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for statement in _POLICIES:
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO jeex_app, jeex_admin")


def downgrade() -> None:
    """Everything goes, the rows too."""
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
