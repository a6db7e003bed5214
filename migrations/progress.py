"""How far a migration has come: what is told while it goes well, and exactly where it stands when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migrations.revisions import Revision
from service.core.errors import MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what happens: `begins` before each revision, `ended` after it, `waits` with the seconds of a pause and who
    holds the tables meanwhile."""

    begins: Callable[[Revision], None] = lambda _: None
    ended: Callable[[Revision], None] = lambda _: None
    waits: Callable[[float, Sequence[str]], None] = lambda _, __: None


@dataclass
class Progress:
    """One run up or down the `line` of revisions, to the one at the place `target` (-1: to none).

    `applied` are the revisions that are done. Of the one under way, `kept` counts the statements that were committed on
    their own (autocommit_block) and `statement` is the last that was sent.
    """

    line: tuple[Revision, ...]
    target: int
    listener: Listener
    up: bool
    applied: list[Revision] = field(default_factory=list)
    place: int = -1
    statement: str = ""
    kept: int = 0

    @property
    def running(self) -> Revision | None:
        """The revision that is applied, or taken back, at this moment."""
        if self.place == self.target:
            return None
        return self.line[self.place + 1 if self.up else self.place]

    def at(self, current: str | None) -> None:
        """The database is at `current`, and the next revision begins."""
        self.place = next((place for place, one in enumerate(self.line) if one.id == current), -1)
        self.statement, self.kept = "", 0
        if self.running is not None:
            self.listener.begins(self.running)

    def on_version_apply(self, **_: Any) -> None:
        """Alembic has written that a revision is applied or taken back, and commits that next."""
        revision = self.running
        if revision is None:
            return
        self.applied.append(revision)
        self.listener.ended(revision)
        self.at(revision.id if self.up else revision.parent)

    def watch(self, connection: Connection) -> None:
        """Note what is sent through `connection`."""
        from sqlalchemy import event

        @event.listens_for(connection, "before_cursor_execute")
        def sent(_: Any, __: Any, statement: str, *___: Any) -> None:
            self.statement = statement

        @event.listens_for(connection, "after_cursor_execute")
        def done(one: Connection, _: Any, statement: str, *__: Any) -> None:
            alone = one.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
            if alone and not statement.lstrip().upper().startswith(("SET ", "RESET ", "SELECT ")):
                self.kept += 1

    def failed(self, error: MigrationFailed, holders: Sequence[str] = ()) -> MigrationFailed:
        """`error` with what is known of where it happened."""
        running = self.running
        return MigrationFailed(
            error.message,
            code=error.code,
            hint=error.hint,
            revision=running.id if running else "",
            statement=" ".join(self.statement.split()),
            kept=self.kept,
            applied=[one.id for one in self.applied],
            holders=holders,
        )
