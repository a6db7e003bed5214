"""How snapshots are shown, and what is asked before one is restored."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from jeex_cli.commands.common import wants_yes
from jeex_cli.errors import JeexError, UsageError
from jeex_cli.output import duration, table
from jeex_cli.session import Session

if TYPE_CHECKING:
    from jeex_cli.ops.restore import Restored
    from jeex_cli.ops.snapshot_manifest import Manifest
    from jeex_cli.ops.snapshots import Listed


def size(count: int) -> str:
    """Bytes as people say them."""
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def listing(every: Sequence[Listed]) -> str:
    """One a line."""
    rows = [
        [one.id, _age(one.created), "automatic" if one.automatic else "yours", size(one.size), one.head or "-", one.reason]
        if not one.problem
        else [one.id, "", "unusable", "", "", one.problem]
        for one in every
    ]
    return table(("ID", "AGE", "KIND", "SIZE", "REVISION", "REASON"), rows)


def found(one: Manifest) -> str:
    """All of one."""
    lines = [
        f"id        {one.id}",
        f"created   {one.created}, by jeex {one.jeex}" + (" before it destroyed something" if one.automatic else ""),
        f"reason    {one.reason or '-'}",
        f"project   {one.project}, {one.runtime}",
        f"revision  {one.head or 'none'}",
        f"versions  {', '.join(f'{name} {text}' for name, text in one.versions.items() if text)}",
        f"size      {size(one.size)}, every file as it was saved",
        f"redis     {one.redis.keys:,} keys" + "".join(f", {count:,} {kind}" for kind, count in one.redis.types.items()),
        "",
        table(("ROWS", "TABLE"), [[f"{count:,}", name] for name, count in one.rows.items()]),
    ]
    return "\n".join(lines)


def agreed(session: Session, one: Manifest, yes: bool, command: str) -> None:
    """Say what a restore goes back to, and ask. Raises UsageError where nobody can be asked, JeexError for a no."""
    about = f"{one.id}, {_age(one.created)} old: {one.reason or 'no reason was given'} ({one.total_rows:,} rows)"
    if wants_yes(session, yes):
        session.output.note(f"back to {about}")
        return
    if session.output.json or not sys.stdin.isatty():
        raise UsageError(
            "a restore puts a snapshot in the place of every tenant, every secret and the queue, and nobody can be asked",
            code="NEEDS_YES",
            detail=about,
            hint=command,
        )
    session.output.note(f"Back to {about}")
    session.output.note("What there is now is saved first; jeex undo comes back to it.")
    if not typer.confirm("Restore it?", err=True):
        raise JeexError("nothing was restored", code="DECLINED", hint="jeex snapshot list")


def restored(done: Restored) -> str:
    """What a restore has done."""
    one = done.snapshot
    lines = [f"Everything is as it was in {one.id} ({one.total_rows:,} rows, {one.redis.keys:,} keys), and the stack runs."]
    if done.migrated:
        lines.append("Its schema was older: migrations were applied.")
    if done.before:
        lines.append(f"What there was before is in {done.before}: jeex undo comes back to it.")
    return "\n".join(lines)


def _age(created: str) -> str:
    try:
        made = datetime.fromisoformat(created)
        return duration(max(0.0, datetime.now(made.tzinfo).timestamp() - made.timestamp()))
    except ValueError:
        return "?"
