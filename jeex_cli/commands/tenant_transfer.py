"""`jeex tenant export`, `import` and `clone`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from jeex_cli.commands.common import command
from jeex_cli.errors import UsageError
from jeex_cli.ops import tenant_transfer
from jeex_cli.output import size
from jeex_cli.session import Session

_PASSPHRASE_LIMIT = 4096  # bytes

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file.")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Where the passphrase stands, in its first line.")
]


def add_to(app: typer.Typer) -> None:
    """The commands of this module, in a group."""
    command(app)(export)
    command(app, name="import")(import_)
    command(app)(clone)


def export(
    session: Session,
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Its short name, or its id.")],
    file: File,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Under a passphrase: typed, or from stdin.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write a tenant into one file: rows, jobs, hashes of keys and passwords, as they are at one moment."""
    passphrase = None
    if encrypt or passphrase_file is not None:
        passphrase = _passphrase(session, passphrase_file, confirm=True, again=["jeex", "tenant", "export", slug, str(file)])
    done = tenant_transfer.export(session, slug, file, passphrase)
    rows = sum(done["rows"].values())
    text = f"{file}  {size(done['bytes'])}, {rows} rows, {'encrypted' if done['encrypted'] else 'not encrypted'}"
    session.output.result(done, text)


def import_(  # noqa: PLR0917 - Typer gives them by name
    session: Session,
    file: File,
    slug: Annotated[str | None, typer.Option("--as", metavar="SLUG", help="What it is to be named here.")] = None,
    new_ids: Annotated[bool, typer.Option("--new-ids", help="Make all ids anew; its API keys are left out then.")] = False,
    passphrase_file: PassphraseFile = None,
    max_size: Annotated[
        float | None, typer.Option("--max-size", metavar="GIB", help="What the file may unpack to, if you trust it.")
    ] = None,
) -> None:
    """Make a tenant of such a file, of this stack or another one. All of it, or nothing where anything is wrong."""
    passphrase = None
    if passphrase_file is not None or tenant_transfer.is_sealed(file):
        passphrase = _passphrase(session, passphrase_file, confirm=False, again=["jeex", "tenant", "import", str(file)])
    done = tenant_transfer.load(session, file, passphrase=passphrase, slug=slug, new_ids=new_ids, max_size=max_size)
    session.output.result(done, _told(done))


def clone(
    session: Session,
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="The tenant that is there.")],
    new_slug: Annotated[str, typer.Argument(metavar="NEW_SLUG", help="The one to make.")],
) -> None:
    """Make a second tenant like the first, with ids of its own and no API keys yet."""
    done = tenant_transfer.clone(session, slug, new_slug)
    session.output.result(done, _told(done))


def _told(done: dict[str, Any]) -> str:
    lines = [f"tenant  {done['slug']}  {done['id']}", f"rows    {sum(done['rows'].values())}"]
    if done["passwords"]:
        lines.append(f"{done['passwords']} users need a new password: theirs were hashed with the pepper of another stack")
    if done["left_out"].get("api_key"):
        make = shlex.join(["jeex", "tenant", "key", "create", done["slug"]])
        lines.append(f"{done['left_out']['api_key']} API keys were left out, for they name the old ids. A new one: {make}")
    return "\n".join(lines)


def _passphrase(session: Session, file: Path | None, *, confirm: bool, again: list[str]) -> str:
    """The passphrase: out of a file, from stdin, or typed without being shown."""
    if file is not None:
        try:
            with file.open("rb") as opened:
                found = opened.read(_PASSPHRASE_LIMIT)
        except OSError as error:
            raise UsageError(
                f"cannot read {file}: {error.strerror}", code="FILE_UNREADABLE", hint=f"ls -l {shlex.quote(str(file))}"
            ) from error
    elif not sys.stdin.isatty():
        found = sys.stdin.buffer.read(_PASSPHRASE_LIMIT)
    elif session.output.json:
        found = b""
    else:
        typed: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
        found = typed.encode()
    try:
        passphrase = found.decode().split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise UsageError("the passphrase is not UTF-8", code="PASSPHRASE_NEEDED", hint=shlex.join(again)) from error
    if not passphrase:
        raise UsageError(
            "the file needs a passphrase, and there is none",
            code="PASSPHRASE_NEEDED",
            hint=shlex.join([*again, "--passphrase-file", "FILE"]),
        )
    return passphrase
