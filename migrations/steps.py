"""What revisions are made of that must bear to be killed and run again."""

from __future__ import annotations

from alembic import context, op

# CONCURRENTLY waits for every transaction that is under way, a backup's too. Nobody waits for it meanwhile, so it may take
# longer than the runner lets statements wait that lock others out.
_PATIENCE = "SET lock_timeout = '10min'"
_AS_BEFORE = "RESET lock_timeout"


def create_index(name: str, statement: str) -> None:
    """CREATE INDEX CONCURRENTLY IF NOT EXISTS, in an autocommit_block.

    One that was interrupted leaves an index that is kept up to date and never used: it goes first.
    """
    if not context.is_offline_mode():
        invalid = op.get_bind().exec_driver_sql(
            "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid", (f"public.{name}",)
        )
        if invalid.first() is not None:
            drop_index(name)
    op.execute(_PATIENCE)
    op.execute(statement)
    op.execute(_AS_BEFORE)


def drop_index(name: str) -> None:
    """DROP INDEX CONCURRENTLY IF EXISTS, in an autocommit_block."""
    op.execute(_PATIENCE)
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(_AS_BEFORE)
