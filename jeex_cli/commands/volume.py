"""`jeex volume`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jeex_cli.commands.common import command, typer_app
from jeex_cli.ops import volumes
from jeex_cli.output import table
from jeex_cli.runtimes.base import Volume
from jeex_cli.session import Session

app = typer_app()
_WIDTH = 80


@app.callback()
def volume() -> None:
    """The data that the stack keeps: Docker's volumes, or folders under .jeex/data."""


@command(app, name="list")
def list_(session: Session) -> None:
    """Every volume: whose it is, its size, when it was made; and what is wrong with it."""
    found = volumes.list_all(session)
    session.output.result(found, _text(found, session.project.root) if found else "There is no data yet: jeex up makes it.")


def _text(found: Sequence[Volume], root: Path) -> str:
    rows = [[_name(one, root), one.service or "-", _size(one.size), _day(one.made)] for one in found]
    parts = [table(("NAME", "SERVICE", "SIZE", "MADE"), rows)]
    for one in found:
        if one.problem:
            words = f"{_name(one, root)}: {one.problem}"
            # A command must stay one that can be copied: lines break between words alone.
            kept = textwrap.wrap(words, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
            parts += ["", *kept]
    return "\n".join(parts)


def _name(one: Volume, root: Path) -> str:
    path = Path(one.name)
    return str(path.relative_to(root)) if path.is_relative_to(root) else one.name


def _size(size: int | None) -> str:
    """Bytes as people say them."""
    if size is None:
        return "?"
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def _day(made: float | None) -> str:
    return "?" if made is None else datetime.fromtimestamp(made).isoformat(" ", "minutes")
