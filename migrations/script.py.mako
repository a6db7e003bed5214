"""${message}

Revises: ${down_revision or "nothing"}
Create Date: ${create_date}
"""

from __future__ import annotations

from alembic import op
${imports if imports else ""}
revision = "${up_revision}"
down_revision = "${down_revision}"


def upgrade() -> None:
    """What this revision brings."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Back to the revision before; what it brought is lost."""
    ${downgrades if downgrades else "pass"}
