"""constraints over rows that are there already; who may see and change what

Revises: 0003
Create Date: 2026-11-24 14:10:00+00:00
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_CHECKS = (
    ("app_user", "ck_app_user_username", "CHECK (username ~ '^[a-z0-9][a-z0-9._-]{1,38}[a-z0-9]$')"),
    ("app_user", "ck_app_user_password_hash", "CHECK (password_hash LIKE '$argon2id$%')"),
    ("api_key", "ck_api_key_expires_at", "CHECK (expires_at > created_at)"),
)

_TABLES = ("project", "document", "idempotent_request")
# The form of 0001, and for its reasons.
_BOUND = "current_setting('app.tenant_id')::uuid"


def upgrade() -> None:
    """NOT VALID holds its lock for a moment only, VALIDATE reads while others write: if each is a transaction of its own.

    In one, the first lock would last until the last row is read, and two tables be locked at once. Interrupted, the
    revision begins anew: hence DROP before ADD, in one statement.
    """
    with op.get_context().autocommit_block():
        for table, name, rule in _CHECKS:
            op.execute(
                "-- squawk-ignore ban-drop-constraint\n"  # what it drops, it puts back
                f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} {rule} NOT VALID"
            )
        for table, name, _ in _CHECKS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    for table in _TABLES:
        op.execute(
            f"CREATE POLICY own_tenant ON {table} TO jeex_app, jeex_admin "
            f"USING (tenant_id = {_BOUND}) WITH CHECK (tenant_id = {_BOUND})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO jeex_app, jeex_admin")


def downgrade() -> None:
    """Nobody sees anything of the new tables; their rows stay."""
    for table in _TABLES:
        op.execute(f"REVOKE ALL ON {table} FROM jeex_app, jeex_admin")
        op.execute(f"DROP POLICY own_tenant ON {table}")
    for table, name, _ in _CHECKS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
