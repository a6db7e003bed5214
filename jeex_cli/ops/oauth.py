"""Credentials of OAuth providers in Vault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jeex_cli.ops import secret_rules as rules
from jeex_cli.ops import secrets, vault
from jeex_cli.ops.failures import translated
from jeex_cli.ops.secret_rules import Value
from jeex_cli.ops.secrets import Written
from jeex_cli.session import Session


@dataclass(frozen=True, slots=True)
class Provider:
    """Who we are at a provider, without the secret of it. `known` ones need no issuer: then it is "" unless given."""

    provider: str
    client_id: str
    issuer: str
    known: bool
    version: int
    created_at: datetime
    age: float


def put(session: Session, provider: str, client_id: str, secret: Value, issuer: str = "") -> Written:
    """Write who we are at `provider`, in place of what stood there. Raises UsageError, JeexError, Unhealthy."""
    with translated():
        from service.services import oauth

        where, fields = oauth.path_of(provider), oauth.stored(provider, client_id, secret.text, issuer)
    with vault.secrets(session, {"SECRET_CHANGED": "jeex secrets oauth list"}) as store:
        return secrets.write(store, where, fields, keep=False)


def list_all(session: Session) -> list[Provider]:
    """Every provider with credentials, by name."""
    from service.services import oauth
    from service.services.secrets import OAUTH

    found = []
    with vault.secrets(session) as store:
        for entry in secrets.entries(store, OAUTH):
            name = entry.path.removeprefix(f"{rules.shown(OAUTH)}/")
            stored = store.get(f"{OAUTH}/{name}")
            if stored is not None:
                found.append(
                    Provider(
                        name,
                        stored.values.get("client_id", ""),
                        stored.values.get("issuer", ""),
                        name in oauth.PROVIDERS,
                        stored.version,
                        stored.created_at,
                        entry.age,
                    )
                )
    return found


def path(provider: str) -> str:
    """Where a provider's credentials stand, as users of `jeex secrets` write it. Raises UsageError."""
    with translated():
        from service.services import oauth

        return rules.shown(oauth.path_of(provider))
