"""`jeex tenant key`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from jeex_cli.commands.common import Yes, command, typer_app, wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.ops import keys, tenant_life
from jeex_cli.output import duration, table
from jeex_cli.session import Session

app = typer_app()

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The tenant's short name.")]
ChosenSlug = Annotated[
    str | None, typer.Argument(metavar="[SLUG]", help="The tenant's short name; the one in use by default. [JEEX_TENANT]")
]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="Its id, or enough of its first digits.")]

# The time in an id, to a quarter of a microsecond: who shows less shows keys alike that were made by one script.
_SHOWN = 18


@app.callback(epilog="Example: jeex tenant key create acme --name ci --expires-in 90d")
def key() -> None:
    """API keys of a tenant's users."""


@command(app)
def create(
    session: Session,
    slug: ChosenSlug = None,
    user: Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Whose; the only owner's by default.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What it is for; the day by default.")] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="TIME", help="How long it holds: 30d, 12h; no end by default.")
    ] = None,
) -> None:
    """Create an API key. It is shown this once."""
    slug = tenant_life.chosen(session, slug)
    made = keys.create(session, slug, user=user, name=name, expires_in=expires_in)
    ends = f"{made['expires_at']:%Y-%m-%d %H:%M} UTC" if made["expires_at"] else "never"
    text = (
        f"id       {made['id']}\n"
        f"name     {made['name']}\n"
        f"user     {made['user']}\n"
        f"expires  {ends}\n"
        f"key      {made['key']}\n\n"
        "The key is stored nowhere and will not be shown again. To take it back:\n"
        f"  jeex tenant key revoke {slug} {made['id']}"
    )
    # --quiet leaves what cannot be had again.
    session.output.result(made, text)
    if session.output.quiet and not session.output.json:
        session.output.line({"key": made["key"]}, made["key"])


@command(app, name="list")
def list_(
    session: Session,
    slug: ChosenSlug = None,
    everything: Annotated[bool, typer.Option("--all", help="The revoked ones too.")] = False,
) -> None:
    """A tenant's keys, oldest first, without the revoked ones."""
    slug = tenant_life.chosen(session, slug)
    found = keys.list_all(session, slug, include_revoked=everything)
    ids = short_ids([str(one["id"]) for one in found])
    rows = [
        [short, one["name"], one["user"], _expires(one), _ago(one["last_used_at"])]
        for short, one in zip(ids, found, strict=True)
    ]
    none = f"{slug} has no key" + (" yet." if everything else " that is not revoked.")
    session.output.result(found, table(("KEY", "NAME", "USER", "EXPIRES", "USED"), rows) if rows else none)


@command(app)
def revoke(session: Session, slug: Slug, key_id: KeyId, yes: Yes = False) -> None:
    """Revoke a key, for good; asks first. The API refuses it from then on."""
    if not wants_yes(session, yes):
        key_id = _ask(session, slug, key_id)
    gone = keys.revoke(session, slug, key_id)
    done = "Revoked" if gone["changed"] else "Revoked before"
    session.output.result(gone, f"{done}: {gone['name']} of {gone['user']}, {str(gone['id'])[:_SHOWN]}")


def short_ids(ids: Sequence[str]) -> list[str]:
    """As much of each id, in whole groups, as tells them apart."""
    for length in (_SHOWN, 23):
        if len({one[:length] for one in ids}) == len(ids):
            return [one[:length] for one in ids]
    return list(ids)


def _ask(session: Session, slug: str, key_id: str) -> str:
    """The whole id of the key that the user has agreed to revoke."""
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            f"this would revoke a key of {slug} for good, and nobody can be asked",
            code="NEEDS_YES",
            hint=shlex.join(["jeex", "tenant", "key", "revoke", slug, key_id, "--yes"]),
        )
    found = keys.find(session, slug, key_id)
    if not found["revoked_at"]:
        session.output.note(f"key {found['id']}, last used: {_ago(found['last_used_at'])}")
        if not typer.confirm(f"Revoke {found['name']} of {found['user']}? It cannot be undone.", err=True):
            raise JeexError("nothing was revoked", code="DECLINED", hint=f"jeex tenant key list {shlex.quote(slug)}")
    return str(found["id"])


def _expires(one: dict[str, Any]) -> str:
    """When the key ends, or why it has ended."""
    if one["state"] != "active":
        return str(one["state"])
    return f"{one['expires_at']:%Y-%m-%d}" if one["expires_at"] else "never"


def _ago(at: datetime | None) -> str:
    return f"{duration((datetime.now(UTC) - at).total_seconds())} ago" if at else "never"
