"""What revisions send to PostgreSQL, without one: for `--dry-run`, for the linter, for the plan of a rollback."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

INI = Path(__file__).with_name("alembic.ini")


class _Statements(io.StringIO):
    """Alembic writes each statement at once, BEGIN and COMMIT included."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def write(self, text: str, /) -> int:
        if one := text.strip():
            self.found.append(one)
        return len(text)


def upgrade(below: str | None, revision: str) -> list[str]:
    """The statements from `below` (None: an empty database) to `revision`, each with its semicolon."""
    from alembic import command

    return _written(command.upgrade, f"{below}:{revision}" if below else revision)


def downgrade(above: str, revision: str | None) -> list[str]:
    """The statements from `above` back to `revision` (None: to an empty database)."""
    from alembic import command

    return _written(command.downgrade, f"{above}:{revision or 'base'}")


def script(statements: Sequence[str]) -> str:
    """Statements as one text that psql can run."""
    return "\n\n".join(statements) + "\n" if statements else ""


def _written(work: Callable[..., None], span: str) -> list[str]:
    from alembic.config import Config

    written = _Statements()
    work(Config(INI, output_buffer=written), span, sql=True)
    return written.found
