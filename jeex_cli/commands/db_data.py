"""`jeex db seed`, `explain`: rows to try things with, and how PostgreSQL finds them."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands.common import command
from jeex_cli.session import Session


def seed(
    session: Session,
    *,
    number: Annotated[int, typer.Option("--seed", metavar="N", help="The same number makes the same rows.")] = 1,
    tenants: Annotated[int, typer.Option("--tenants", metavar="N", help="How many tenants.")] = 2,
    users: Annotated[int, typer.Option("--users", metavar="N", help="Users of each.")] = 10,
    projects: Annotated[int, typer.Option("--projects", metavar="N", help="Projects of each.")] = 5,
    documents: Annotated[int, typer.Option("--documents", metavar="N", help="Documents of each.")] = 200,
    content: Annotated[int, typer.Option("--content", metavar="BYTES", help="About the size of a document.")] = 600,
) -> None:
    """Make demo data. Twice is the same as once; a larger size adds to it."""
    from jeex_cli.ops import demo
    from jeex_cli.ops.demo_rows import Size

    done = demo.seed(session, number, Size(tenants, users, projects, documents, content))
    made = ", ".join(f"{count:,} {kind}" for kind, count in done.made.items() if count) or "nothing: all of it was there"
    first = done.tenants[0]
    session.output.result(
        done, f"made {made}\ntenants {first} to {done.tenants[-1]}; sign in with: jeex tenant key create {first}"
    )


def explain(
    session: Session,
    statement: Annotated[str, typer.Argument(metavar="SQL", help="One statement, in quotes.")],
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Whose rows it is about.")] = None,
    analyze: Annotated[bool, typer.Option("--analyze", help="Carry it out, and take it back.")] = False,
) -> None:
    """How PostgreSQL carries out a statement as the role that serves requests: index, policy, and what is wrong with it."""
    from jeex_cli.ops import explain as operation

    found = operation.explain(session, statement, tenant, analyze=analyze)
    lines = [
        *found.lines,
        "",
        *(f"index   {name}" for name in found.indexes),
        *(f"policy  {one.name} of {one.table}, as {_HOW[one.how]}" for one in found.policies),
        *(f"warning: {one}" for one in found.warnings),
    ]
    session.output.result(found, "\n".join(lines).rstrip())


_HOW = {"index": "a condition of the index", "filter": "a filter over what was read"}


def register(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    for one in (seed, explain):
        command(app)(one)
