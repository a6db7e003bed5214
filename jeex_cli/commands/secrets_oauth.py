"""`jeex secrets oauth`."""

from __future__ import annotations

from typing import Annotated

import typer

from jeex_cli.commands import secret_input
from jeex_cli.commands.common import Yes, command, typer_app
from jeex_cli.ops import oauth
from jeex_cli.output import duration, table
from jeex_cli.session import Session

app = typer_app()

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="google, github, gitlab, microsoft, or one of your own.")]


@app.callback(epilog="Example: jeex secrets oauth set github --client-id Iv1.8a61 < secret.txt")
def oauth_() -> None:
    """Who the platform is at OAuth providers."""


@command(app, name="set")
def set_(
    session: Session,
    provider: Provider,
    client_id: Annotated[str, typer.Option("--client-id", metavar="ID", help="As the provider calls us.")],
    issuer: Annotated[
        str, typer.Option("--issuer", metavar="URL", help="Where a provider of your own is; https, or this machine.")
    ] = "",
) -> None:
    """Write the credentials for a provider. The client secret comes from stdin, or is asked for."""
    oauth.path(provider)
    again = ["jeex", "secrets", "oauth", "set", provider, "--client-id", client_id]
    again += ["--issuer", issuer] if issuer else []
    secret = secret_input.read_value(session, f"{provider} client secret", again)
    made = oauth.put(session, provider, client_id, secret, issuer)
    session.output.result(made, f"{'Written' if made.changed else 'As it was'}: {provider}, version {made.version}")


@command(app, name="list")
def list_(session: Session) -> None:
    """Every provider that there are credentials for, without the secrets."""
    found = oauth.list_all(session)
    rows = [[one.provider, one.client_id, one.issuer, str(one.version), duration(one.age)] for one in found]
    text = table(("PROVIDER", "CLIENT ID", "ISSUER", "VERSION", "AGE"), rows) if rows else "There are no providers yet."
    session.output.result(found, text)


@command(app)
def delete(session: Session, provider: Provider, yes: Yes = False) -> None:
    """Delete the credentials for a provider; asks first. They can be brought back."""
    secret_input.delete(session, oauth.path(provider), yes, ["jeex", "secrets", "oauth", "delete", provider])
