"""`jeex tenant`."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from jeex_cli.commands import tenant_key, tenant_transfer, tenant_verify
from jeex_cli.commands.common import Yes, command, typer_app, wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import tenant_life, tenants
from jeex_cli.output import duration, size, table
from jeex_cli.session import Session

app = typer_app()
app.add_typer(tenant_key.app, name="key")
tenant_transfer.add_to(app)
tenant_verify.add(app)

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="Its short name: lower-case letters, digits, hyphens.")]


Which = Annotated[str, typer.Argument(metavar="SLUG", help="Its short name, or its id.")]
ChosenSlug = Annotated[
    str | None, typer.Argument(metavar="[SLUG]", help="Its short name; the one in use by default. [JEEX_TENANT]")
]


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
def show(session: Session, slug: ChosenSlug = None) -> None:
    """One tenant: what it has and how large that is, when it was last used, its users and keys."""
    slug = tenant_life.chosen(session, slug)
    found = {**tenants.show(session, slug), **tenant_life.size(session, slug)}
    one, counts = found["tenant"], found["counts"]
    last = found["last_activity"]
    head = f"{one['slug']}  {one['name']}  {one['status']}  {one['id']}"
    has = ", ".join(f"{number} {name}" for name, number in counts.items() if name != "unfinished")
    about = (
        f"{has} ({counts['unfinished']} not finished)\n"
        f"{size(sum(found['bytes'].values()))} in {sum(found['rows'].values())} rows; last used {_when(last)}"
    )
    users = table(("USER", "ROLE", "CREATED"), [[user["email"], user["role"], _day(user)] for user in found["users"]])
    keys = table(
        ("KEY", "NAME", "CREATED", "REVOKED"),
        [[str(key["id"]), key["name"], _day(key), "yes" if key["revoked_at"] else ""] for key in found["keys"]],
    )
    session.output.result(found, f"{head}\n{about}\n\n{users}\n\n{keys}")


@command(app)
def rename(
    session: Session,
    slug: Which,
    new_slug: Annotated[str | None, typer.Argument(metavar="[NEW_SLUG]", help="Its new short name.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its new name in words.")] = None,
) -> None:
    """Give a tenant another slug, another name, or both. Its API keys hold on: they have its id in them, not its slug."""
    done = tenant_life.rename(session, slug, new_slug=new_slug, name=name)
    after = done["tenant"]
    session.output.result(done, f"{done['before']['slug']} is {after['slug']}, {after['name']}")


@command(app)
def suspend(session: Session, slug: Which) -> None:
    """Refuse a tenant's sign-ins, keys and tokens from now on, in every process of the API. Its data stays."""
    done = tenant_life.set_status(session, slug, "suspended")
    text = "is suspended" if done["changed"] else "was suspended before"
    session.output.result(done, f"{slug} {text}. To let it in again: {shlex.join(['jeex', 'tenant', 'resume', slug])}")


@command(app)
def resume(session: Session, slug: Which) -> None:
    """Let a suspended tenant in again."""
    done = tenant_life.set_status(session, slug, "active")
    session.output.result(done, f"{slug} {'is active again' if done['changed'] else 'is active, as it was'}")


@command(app)
def delete(
    session: Session,
    slug: Which,
    purge: Annotated[bool, typer.Option("--purge", help="For good, with everything that it has.")] = False,
    yes: Yes = False,
) -> None:
    """Delete a tenant; it can be restored until it is purged. With --purge it is gone for good; that asks first."""
    found = tenant_life.find(session, slug)
    if purge:
        _agree(session, slug, found, yes)
    done = tenant_life.delete(session, str(found["id"]), purge=purge)
    if purge:
        text = f"{found['slug']} is gone for good"
    else:
        was = "is" if done["changed"] else "was"
        text = f"{found['slug']} {was} deleted. To have it back: jeex tenant restore {found['id']}"
    session.output.result(done, text)


@command(app)
def restore(session: Session, slug: Which) -> None:
    """Have a deleted tenant back, with everything, unless it was purged."""
    done = tenant_life.restore(session, slug)
    session.output.result(done, f"{done['tenant']['slug']} is back")


@command(app)
def use(
    session: Session,
    slug: Annotated[str | None, typer.Argument(metavar="[SLUG]", help="Its short name.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="None from now on.")] = False,
) -> None:
    """Remember which tenant is meant where a command names none. JEEX_TENANT says otherwise for one shell."""
    if (slug is None) == (not forget):
        raise UsageError("name a tenant, or say --forget", hint="jeex tenant use SLUG; what is in use: jeex config show")
    done = tenant_life.use(session, slug)
    if done["overridden_by"]:
        session.output.note(f"in this shell JEEX_TENANT says {done['overridden_by']}, which comes first")
    session.output.result(done, f"from now on: {done['tenant']}" if done["tenant"] else "from now on no tenant is meant")


def _agree(session: Session, slug: str, found: dict[str, Any], yes: bool) -> None:
    """Raises JeexError where the user does not agree to lose the tenant for good, UsageError where nobody can be asked."""
    if wants_yes(session, yes):
        return
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            f"this would remove {slug} for good, and nobody can be asked",
            code="NEEDS_YES",
            hint=shlex.join(["jeex", "tenant", "delete", slug, "--purge", "--yes"]),
        )
    has = tenant_life.size(session, str(found["id"]))
    goes = ", ".join(f"{number} of {name}" for name, number in has["rows"].items() if number and name != "tenant")
    session.output.note(f"what goes: {goes or 'no row but its own'}; {size(sum(has['bytes'].values()))}")
    if not typer.confirm(f"Remove {found['slug']} ({found['name']}) for good? It cannot be undone.", err=True):
        raise JeexError("nothing was removed", code="DECLINED", hint=shlex.join(["jeex", "tenant", "show", slug]))


def _when(at: Any) -> str:
    return f"{duration((datetime.now(UTC) - at).total_seconds())} ago" if at else "never"


def _day(row: dict[str, Any]) -> str:
    return str(row["created_at"])[:16]
