"""constraints over what is there already, and who may see what

Revises: 0003
Create Date: 2026-11-24 14:10:00+00:00
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_MADE_BY = "FOREIGN KEY (tenant_id, created_by) REFERENCES app_user (tenant_id, id) ON DELETE SET NULL (created_by)"
_CONSTRAINTS = (
    ("app_user", "ck_app_user_username", "CHECK (username ~ '^[a-z0-9][a-z0-9._-]{1,38}[a-z0-9]$')"),
    ("app_user", "ck_app_user_password_hash", "CHECK (password_hash LIKE '$argon2id$%')"),
    ("api_key", "ck_api_key_expires_at", "CHECK (expires_at > created_at)"),
    ("project", "fk_project_app_user", _MADE_BY),
    ("document", "fk_document_app_user", _MADE_BY),
)
_TABLES = ("project", "document", "idempotent_request")
_BOUND = "current_setting('app.tenant_id')::uuid"


def upgrade() -> None:
    """NOT VALID takes its lock for a moment only; VALIDATE then reads the rows while others write."""
    for table, name, rule in _CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule} NOT VALID")
    for table, name, _ in _CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    for table in _TABLES:
        op.execute(
            f"CREATE POLICY own_tenant ON {table} TO jeex_app, jeex_admin "
            f"USING (tenant_id = {_BOUND}) WITH CHECK (tenant_id = {_BOUND})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO jeex_app, jeex_admin")


def downgrade() -> None:
    """Nobody sees anything of the new tables, and their rows stay."""
    for table in _TABLES:
        op.execute(f"REVOKE ALL ON {table} FROM jeex_app, jeex_admin")
        op.execute(f"DROP POLICY own_tenant ON {table}")
    for table, name, _ in reversed(_CONSTRAINTS):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
