"""`jeex db check`, `lint`, `revision`: is the schema what it should be, and what it should be next."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands.common import command
from jeex_cli.errors import JeexError
from jeex_cli.session import Session


def check(
    session: Session,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements that would mend it, and exit 0.")] = False,
) -> None:
    """Compare the live schema with the models: columns, policies, predicates, checks, grants. Exit 7 if it differs."""
    from jeex_cli.ops import schema

    if sql:
        found = schema.drift(session)
        text = schema.mending(found)
        session.output.result({"sql": text, "differences": len(found)}, text or "-- nothing to mend")
        return
    schema.check(session)
    session.output.result({"differences": []}, "the live schema is what the models say")


def lint(
    session: Session,
    revisions: Annotated[list[str] | None, typer.Argument(metavar="[REV]...", help="These; else all.")] = None,
) -> None:
    """Find what would hold up a table in use, or break a rule of the house. Exit 1 if there is something."""
    from jeex_cli.ops import schema

    found = schema.lint(revisions or ())
    data = {"revisions": found.revisions, "squawk": found.squawk, "problems": [_problem(one) for one in found.problems]}
    if found.problems:
        raise JeexError(
            f"{len(found.problems)} problems in {len({one.revision for one in found.problems})} revisions",
            code="LINT",
            detail="\n".join(one.line for one in found.problems),
            hint="mend the revision; one that was released is mended by the next: jeex db revision -m '...'",
            data=data,
        )
    if not found.squawk:
        session.output.note("without squawk, which knows more about locks: pip install squawk-cli")
    session.output.result(data, f"{len(found.revisions)} revisions, nothing to object to")


def revision(
    session: Session,
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="Its first line.")],
    empty: Annotated[bool, typer.Option("--empty", help="Write it without looking at the models.")] = False,
) -> None:
    """Write a revision with what the models say and the revisions do not make yet. In a clone only."""
    from jeex_cli.ops import schema

    made = schema.revision(session, message, empty=empty)
    lines = [f"  {one}" for one in made.changes]
    text = (
        "\n".join([f"{made.path}", *lines, "read it, then: jeex db lint; jeex db migrate"])
        if made.path
        else "the revisions make what the models say; nothing was written"
    )
    session.output.result(made, text)


def register(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    for one in (check, lint, revision):
        command(app)(one)


def _problem(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("revision", "rule", "message", "statement", "source")}
