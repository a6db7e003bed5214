"""The secrets that the platform cannot start without: made once, never changed here (rotation.py does)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from service.adapters.secret_store import SecretStore
from service.adapters.signing import KEY
from service.adapters.vault_keys import VaultKeys
from service.core.errors import Conflict, VaultUnavailable

PEPPER = "jeex/api-pepper"  # of passwords: services/peppers.py
DATABASE = "jeex/database"  # its version is the turn of logins: services/rotation.py
QUEUE = "jeex/queue-key"  # of the messages that workers send each other through Redis: adapters/transport.py
SETTINGS = "jeex/settings"  # of the service's processes, by the names of their variables
OAUTH = "jeex/oauth"  # one path a provider: services/oauth.py
_EVERY_VERSION = 1000  # old peppers are needed for as long as somebody does not sign in


@dataclass(frozen=True, slots=True)
class Seeded:
    """One secret after seeding; `created` is False when it was there already."""

    name: str
    created: bool


def seed(store: SecretStore, keys: VaultKeys) -> list[Seeded]:
    """Make what is missing. Safe to run again and by two processes at once: what exists is never overwritten."""
    return [
        _signing_key(keys),
        _first(store, PEPPER, new_pepper(), keep=_EVERY_VERSION),
        _first(store, DATABASE, {"turn": "1"}),
    ]


def queue_key(store: SecretStore) -> str:
    """The key of QUEUE. The first worker that asks makes it: whoever sets Vault up need not know of it."""
    found = store.get(QUEUE)
    if found is None:
        _first(store, QUEUE, {"key": secrets.token_urlsafe(32)})
        found = store.get(QUEUE)
    if found is None or "key" not in found.values:
        raise VaultUnavailable(f"there is no key at secret/{QUEUE}", hint="delete what stands there for good")
    return found.values["key"]


def new_pepper() -> dict[str, str]:
    """What stands in a version of PEPPER: 256 random bits."""
    return {"pepper": secrets.token_urlsafe(32)}


def _signing_key(keys: VaultKeys) -> Seeded:
    if keys.exists(KEY):
        return Seeded(f"transit/{KEY}", False)
    keys.create(KEY, "ecdsa-p256")
    return Seeded(f"transit/{KEY}", True)


def _first(store: SecretStore, path: str, values: Mapping[str, str], *, keep: int | None = None) -> Seeded:
    # Without reading it first: the write itself says whether there is one, and no value travels.
    try:
        store.put(path, values, seen=0)
    except Conflict:
        return Seeded(f"secret/{path}", False)
    if keep is not None:
        store.annotate(path, {}, keep=keep)
    return Seeded(f"secret/{path}", True)
