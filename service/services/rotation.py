"""Secrets that are replaced before they grow old, under traffic, without a request that fails.

What is rotated, and what that means for whoever uses it:

- jwt         the key that signs tokens gets a new version. It is published first and signs later; the old one goes on
              proving its tokens until the last of them has ended, then it is retired.
- api-pepper  passwords are mixed with a new secret from now on; older ones are kept, and passwords follow when people
              sign in.
- database    Vault changes the password that it makes logins with, and the turn of logins begins anew: every process takes a
              new login, lets what is under way end, and gives the old one back.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.adapters.secret_store import SecretStore
from service.adapters.signing import KEY
from service.adapters.vault_keys import KeyVersion, VaultKeys
from service.adapters.vault_logins import VaultLogins
from service.core.errors import Conflict
from service.services.secrets import DATABASE, PEPPER, new_pepper
from service.services.signing_keys import OLD
from service.services.tokens import LEEWAY, LIFE

JWT, API_PEPPER, LOGINS = "jwt", "api-pepper", "database"
KINDS = (JWT, API_PEPPER, LOGINS)
_CLAIM = "jeex/rotation"
_MARGIN = 60.0  # seconds by which clocks of machines may differ


@dataclass(frozen=True, slots=True)
class Due:
    """How old a kind of secret is, in seconds, and how old it may become; `most` is None where it may stay for ever."""

    kind: str
    version: int
    since: datetime
    age: float
    most: float | None

    @property
    def is_due(self) -> bool:
        """Whether it is to be rotated now."""
        return self.most is not None and self.age > self.most


class Rotation:
    """What can be rotated is what the role behind the adapters allows. `announced` is as Tokens has it, in seconds."""

    def __init__(self, store: SecretStore, keys: VaultKeys, logins: VaultLogins, *, announced: float = 120.0) -> None:
        self._store = store
        self._keys = keys
        self._logins = logins
        self._announced = announced

    def ages(self, most: Mapping[str, float | None], now: datetime | None = None) -> list[Due]:
        """Every kind that is there. `most` is by kind, in seconds. Raises VaultUnavailable."""
        now = now or datetime.now(UTC)
        newest = self._keys.versions(KEY)[-1]
        found = {JWT: (newest.version, newest.created_at)}
        for kind, path in ((API_PEPPER, PEPPER), (LOGINS, DATABASE)):
            about = self._store.metadata(path)
            if about is not None:
                found[kind] = about.current, about.versions[-1].created_at
        return [
            Due(kind, version, since, (now - since).total_seconds(), most.get(kind))
            for kind, (version, since) in found.items()
        ]

    def rotate(self, kind: str) -> int:
        """Rotate one of KINDS; its new version. Raises VaultUnavailable, Conflict when another did so at the same time."""
        if kind == JWT:
            self.retire()
            self._keys.rotate(KEY)
            return self._keys.versions(KEY)[-1].version
        if kind == API_PEPPER:
            return self._store.put(PEPPER, new_pepper(), seen=self._version(PEPPER))
        seen = self._version(DATABASE)
        self._logins.rotate_root()
        return self._store.put(DATABASE, {"turn": str(seen + 1)}, seen=seen)

    def retire(self, now: datetime | None = None) -> list[int]:
        """Retire the versions of the signing key whose last token has ended; which."""
        versions = self._keys.versions(KEY)
        over = ended(versions, now or datetime.now(UTC), announced=self._announced)
        if over:
            self._keys.retire(KEY, oldest=over[-1] + 1)
        return over

    def rotate_due(self, most: Mapping[str, float | None]) -> list[str]:
        """Rotate what is due, and retire what has ended; what was rotated. Of several who try at once, one does."""
        rotated = []
        for due in self.ages(most):
            if due.is_due and self._claim(due):
                self.rotate(due.kind)
                rotated.append(due.kind)
        self.retire()
        return rotated

    def _claim(self, due: Due) -> bool:
        path = f"{_CLAIM}/{due.kind}"
        claimed = self._store.get(path)
        # A claim on this very version that is old was left by one who was killed.
        if claimed and claimed.values["version"] == str(due.version) and _young(claimed.created_at):
            return False
        try:
            self._store.put(path, {"version": str(due.version)}, seen=claimed.version if claimed else 0)
        except Conflict:
            return False
        return True

    def _version(self, path: str) -> int:
        about = self._store.metadata(path)
        return about.current if about else 0


def ended(versions: Sequence[KeyVersion], now: datetime, *, announced: float) -> list[int]:
    """Those of `versions` (oldest first) that no token can be of any more.

    A version may sign until everybody has seen the next one and that one has been announced for long enough; its last token
    ends a token's life after that.
    """
    last = timedelta(seconds=OLD + announced + LIFE + LEEWAY + _MARGIN)
    return [one.version for one, following in itertools.pairwise(versions) if now - following.created_at > last]


def _young(at: datetime) -> bool:
    return datetime.now(UTC) - at < timedelta(minutes=5)
