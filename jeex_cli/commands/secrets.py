"""`jeex secrets`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands import secret_input, secrets_oauth, secrets_policy, secrets_vault
from jeex_cli.commands.common import Yes, command, typer_app
from jeex_cli.errors import UsageError
from jeex_cli.ops import secret_rules, secrets
from jeex_cli.ops.secrets import Entry, Shown
from jeex_cli.output import duration, table
from jeex_cli.session import Session

app = typer_app()

Path = Annotated[str, typer.Argument(metavar="PATH", help="Where it stands, below secret/jeex: stripe, mail/smtp.")]
Version = Annotated[int | None, typer.Option("--version", metavar="N", min=1, help="That one; the newest by default.")]


@app.callback()
def secrets_() -> None:
    """Secrets in Vault: your own, and those of the platform."""


@command(app, name="list")
def list_(
    session: Session,
    prefix: Annotated[str | None, typer.Argument(metavar="[PREFIX]", help="What stands there and below it only.")] = None,
) -> None:
    """Every secret: its newest version, how old it is, and whose it is. Never a value."""
    found = secrets.list_all(session, prefix)
    rows = [[one.path, str(one.version), duration(one.age), "jeex" if one.managed else "you", _notes(one)] for one in found]
    none = f"There are no secrets at {prefix}." if prefix else "There are no secrets yet."
    session.output.result(found, table(("PATH", "VERSION", "AGE", "KEPT BY", "NOTES"), rows) if rows else none)


@command(app)
def get(
    session: Session,
    path: Path,
    field: Annotated[str | None, typer.Argument(metavar="[FIELD]", help="That field only.")] = None,
    version: Version = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show what it holds; one field is printed bare.")] = False,
) -> None:
    """What a secret holds, masked. With --reveal and one field: that value, and nothing else."""
    found = secrets.get(session, path, field, version=version, reveal=reveal)
    if session.output.json or not reveal:
        session.output.result(found, _described(found))
    elif len(found.fields) == 1:
        session.output.line({}, next(iter(found.fields.values())))
    else:
        session.output.line({}, _fields(found))


@command(app, name="set")
def set_(
    session: Session,
    path: Path,
    fields: Annotated[list[str] | None, typer.Argument(metavar="[FIELD]", help="Which of its values; `value`.")] = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="TIME", help="When it is due for another: 90d, 12h, never.")
    ] = None,
    if_version: Annotated[
        int | None, typer.Option("--if-version", metavar="N", min=0, help="Only if N is the newest; 0: only if new.")
    ] = None,
) -> None:
    """Write a secret, or one field of it. The value comes from stdin, or is asked for: it is never an argument."""
    field, *surplus = fields or [secret_rules.DEFAULT_FIELD]
    if surplus:  # most likely the value, which Typer would print if it were to refuse it
        raise UsageError(
            "there is more on the command line than a path and a field",
            code="VALUE_ON_COMMAND_LINE",
            detail="A value is never an argument: others on this machine could read it, and your shell remembers it.",
            hint=f"jeex secrets set {path} {field} < FILE",
        )
    secrets.writable(path)
    secret_rules.checked_field(field)
    secret_rules.checked_age(max_age)
    what = path if field == secret_rules.DEFAULT_FIELD else f"{path} {field}"
    value = secret_input.read_value(session, what, ["jeex", "secrets", "set", path, field])
    made = secrets.put(session, path, field, value, max_age=max_age, if_version=if_version)
    done = "Written" if made.changed else "As it was"
    age = f", to be replaced after {made.max_age}" if made.max_age else ""
    session.output.result(made, f"{done}: {what}, version {made.version}{age}")


@command(app)
def delete(session: Session, path: Path, yes: Yes = False) -> None:
    """Delete the newest version of a secret; asks first. It can be brought back."""
    secret_input.delete(session, path, yes, ["jeex", "secrets", "delete", path])


@command(app)
def restore(session: Session, path: Path, version: Version = None) -> None:
    """Bring a deleted version of a secret back."""
    back = secrets.restore(session, path, version=version)
    done = "Restored" if back.changed else "Not deleted"
    session.output.result(back, f"{done}: {path}, version {back.version}")


secrets_vault.add_to(app)
app.add_typer(secrets_oauth.app, name="oauth")
app.add_typer(secrets_policy.app, name="policy")


def _notes(one: Entry) -> str:
    notes = ["deleted"] if one.deleted else ["due"] if one.due else []
    return ", ".join([*notes, *([f"max age {one.max_age}"] if one.max_age else [])])


def _described(found: Shown) -> str:
    which = f"version {found.version}" + ("" if found.version == found.newest else f" of {found.newest}")
    return f"{found.path}  {which}  {found.created_at:%Y-%m-%d %H:%M} UTC\n\n{_fields(found)}\n\nWith --reveal it is shown."


def _fields(found: Shown) -> str:
    return table(("FIELD", "VALUE"), [[name, str(text)] for name, text in found.fields.items()])
