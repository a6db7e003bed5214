"""The secrets that the platform cannot start without: made once, never changed here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.adapters.vault import SecretStore
from service.core.errors import Conflict

JWT_KEY = "jwt"  # transit key that signs access tokens
API_SECRETS = "jeex/api"  # KV path of the API's own settings


@dataclass(frozen=True, slots=True)
class Seeded:
    """One secret after seeding; `created` is False when it was there already."""

    name: str
    created: bool


def seed(store: SecretStore) -> list[Seeded]:
    """Make what is missing. Safe to run again and by two processes at once: what exists is never overwritten."""
    return [
        _signing_key(store),
        _random_secret(store, API_SECRETS, lambda: {"pepper": secrets.token_urlsafe(32)}),
    ]


def _signing_key(store: SecretStore) -> Seeded:
    if store.has_key(JWT_KEY):
        return Seeded(f"transit/{JWT_KEY}", False)
    store.create_key(JWT_KEY, "ecdsa-p256")
    return Seeded(f"transit/{JWT_KEY}", True)


def _random_secret(store: SecretStore, path: str, make: Callable[[], Mapping[str, str]]) -> Seeded:
    # Without reading it first: the write itself says whether there is one, and no value travels.
    try:
        store.create(path, make())
    except Conflict:
        return Seeded(f"secret/{path}", False)
    return Seeded(f"secret/{path}", True)
