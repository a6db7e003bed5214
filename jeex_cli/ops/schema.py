"""The schema as such: does it match the models, is a revision safe, and a new one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli.errors import JeexError, NotReady, PartialFailure, UsageError
from jeex_cli.ops import database, migrating
from jeex_cli.ops.failures import translated
from jeex_cli.session import Session

if TYPE_CHECKING:
    from migrations.drift import Difference
    from migrations.lint import Problem


@dataclass(frozen=True, slots=True)
class Linted:
    """Which revisions were looked at, with what, and what is wrong with them."""

    revisions: list[str]
    squawk: bool
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Drafted:
    """The file of a new revision, and what it changes, a line each. `path` is "" where there was nothing to write."""

    revision: str
    path: str
    changes: tuple[str, ...]


def check(session: Session) -> None:
    """Return where the live schema is what the models say.

    Raises PartialFailure with every difference and the statements that mend it, JeexError where revisions are pending: then
    it cannot be.
    """
    found = drift(session)
    if not found:
        return
    raise PartialFailure(
        f"{len(found)} differences between the live schema and the models",
        code="SCHEMA_DRIFT",
        detail="\n".join(_lines(found)),
        hint="jeex db check --sql prints what mends it; jeex db check --sql | jeex db shell --role superuser does it",
        data={"differences": [{**_plain(one), "line": one.line} for one in found]},
    )


def drift(session: Session) -> tuple[Difference, ...]:
    """Every difference. Raises JeexError where revisions are pending."""
    pending = migrating.plan(session).revisions
    if pending:
        raise JeexError(
            f"revisions are pending ({', '.join(one.id for one in pending)}), so it is not what the models say",
            code="REVISIONS_PENDING",
            hint="jeex db migrate, then jeex db check",
        )
    return migrating.differences(session)


def mending(found: Sequence[Difference]) -> str:
    """The statements that mend them, as psql runs them as the superuser. Each says what it is for."""
    lines: list[str] = []
    for one in found:
        lines.append(f"-- {one.line}")
        if not one.mend:
            lines.append("-- no statement does: write a revision (jeex db revision), or reset (jeex db reset)")
        lines += [f"{statement};" for statement in one.mend]
    return "\n".join(lines)


def lint(wanted: Sequence[str]) -> Linted:
    """Look at revisions (all of them where none is named). Raises UsageError for one that does not exist."""
    from migrations import lint as linter
    from migrations import revisions

    names = [migrating.resolve(one) for one in wanted]
    line = [one for one in revisions.history() if not names or one.id in names]
    found = migrating.problems(line)
    return Linted([one.id for one in line], linter.squawk() is not None, found)


def revision(session: Session, message: str, *, empty: bool = False) -> Drafted:
    """Write a revision with what the models say and the revisions do not make yet; `empty`: with nothing in it.

    Raises NotReady where this jeex is no clone, UsageError for a message that cannot be a file's first line.
    """
    folder = _versions()
    message = message.strip()
    if not message or any(unicodedata.category(one)[0] == "C" for one in message) or '"""' in message or "\\" in message:
        raise UsageError(
            "the message is the revision's first line: some words, no line break, no backslash", code="MESSAGE_INVALID"
        )
    from migrations import generate, runner

    made = generate.Draft("", "", ())
    if not empty:
        with translated():
            made = runner.inspect(database.url(session, "owner"), generate.draft)
        if not made.changes:
            return Drafted("", "", ())
    path = generate.write(made, message, folder)
    return Drafted(generate.next_revision().id, str(path), made.changes)


def _versions() -> Path:
    """Where revisions are written. Raises NotReady where jeex was installed: the next upgrade would delete them."""
    from migrations.revisions import VERSIONS

    root = VERSIONS.parent.parent
    if not (root / "pyproject.toml").exists() or not (root / "jeex_cli").is_dir():
        raise NotReady(
            f"this jeex is installed in {root}; a revision would be lost with its next version",
            code="NOT_A_CLONE",
            hint="work in a clone of the platform: make venv, then .venv/bin/jeex db revision -m '...'",
        )
    return VERSIONS


def _plain(one: Difference) -> dict[str, object]:
    return {
        "kind": one.kind,
        "name": one.name,
        "found": one.found,
        "wanted": one.wanted,
        "mend": list(one.mend),
        "role": one.role,
    }


def _lines(found: Sequence[Difference]) -> list[str]:
    lines = []
    for one in found:
        lines.append(one.line)
        lines += [f"    {statement};" for statement in one.mend] or ["    no statement mends it: jeex db revision, or reset"]
    return lines
