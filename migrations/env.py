"""Alembic's environment. runner.py hands over a connection; by hand, `alembic -c migrations/alembic.ini`, it makes one
from DATABASE_OWNER_URL and takes the same lock. `--sql` prints the statements instead, for the linter.
"""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy.engine import Connection

from migrations import engine, runner
from service.core import settings
from service.models import Base


def migrate(connection: Connection) -> None:
    """Run what the command asks for, each revision in a transaction of its own."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
        on_version_apply=context.config.attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        context.run_migrations()


async def by_hand() -> None:
    """The same, with a connection of our own."""
    found = settings.load(os.environ, required=("DATABASE_OWNER_URL",))
    await runner.locked(found.database_owner_url.reveal(), migrate)


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # of the others, some double each %
        target_metadata=Base.metadata,
        transaction_per_migration=True,
    )
    context.execute(engine.PATIENCE)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    asyncio.run(by_hand())
