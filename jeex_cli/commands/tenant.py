"""`jeex tenant`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jeex_cli.commands import tenant_key, tenant_verify
from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import tenants
from jeex_cli.output import table
from jeex_cli.session import Session

app = typer_app()
app.add_typer(tenant_key.app, name="key")
tenant_verify.add(app)

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="Its short name: lower-case letters, digits, hyphens.")]


@app.callback()
def tenant() -> None:
    """Tenants of the platform."""


@command(app)
def create(
    session: Session,
    slug: Slug,
    admin: Annotated[str, typer.Option("--admin", metavar="EMAIL", help="Its first user, an owner.")],
    name: Annotated[str | None, typer.Option("--name", help="Its name in words; the slug by default.")] = None,
) -> None:
    """Create a tenant, its first user and that user's API key. The key is shown this once."""
    made = tenants.create(session, slug, admin, name)
    api = session.stack.service("api").host_port
    text = (
        f"tenant  {made['tenant']['slug']}  {made['tenant']['id']}\n"
        f"owner   {made['owner']['email']}\n"
        f"key     {made['key']}\n\n"
        "The key is stored nowhere and will not be shown again. With KEY set to it, try:\n"
        f'  curl -H "Authorization: Bearer $KEY" http://127.0.0.1:{api}/api/v1/whoami'
    )
    # --quiet leaves what cannot be had again.
    session.output.result(made, text)
    if session.output.quiet and not session.output.json:
        session.output.line({"key": made["key"]}, made["key"])


@command(app, name="list")
def list_(session: Session) -> None:
    """Every tenant."""
    found = tenants.list_all(session)
    rows = [[one["slug"], one["name"], one["status"], _day(one)] for one in found]
    session.output.result(found, table(("SLUG", "NAME", "STATUS", "CREATED"), rows) if rows else "There are no tenants yet.")


@command(app)
def show(session: Session, slug: Slug) -> None:
    """One tenant with its users and keys."""
    found = tenants.show(session, slug)
    one = found["tenant"]
    head = f"{one['slug']}  {one['name']}  {one['status']}  {one['id']}"
    users = table(("USER", "ROLE", "CREATED"), [[user["email"], user["role"], _day(user)] for user in found["users"]])
    keys = table(
        ("KEY", "NAME", "CREATED", "REVOKED"),
        [[str(key["id"]), key["name"], _day(key), "yes" if key["revoked_at"] else ""] for key in found["keys"]],
    )
    session.output.result(found, f"{head}\n\n{users}\n\n{keys}")


def _day(row: dict[str, Any]) -> str:
    return str(row["created_at"])[:16]
