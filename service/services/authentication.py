"""Who is calling: API keys, `jx_<tenant>_<key>_<secret>`.

The tenant in a key is only a claim: it says where to look. It becomes the caller's tenant when the secret's SHA-256 is the
one stored for that key of that tenant. SHA-256 without salt or stretching is enough here: the secret is 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from service.adapters import credentials
from service.core.errors import Forbidden, Unauthenticated
from service.core.settings import Secret

_FORMAT = re.compile(r"jx_([0-9a-f]{32})_([0-9a-f]{32})_([0-9A-Za-z]{43})")
_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 43  # characters of 62: 256 bits
ROLES = ("viewer", "member", "admin", "owner")  # each may do what those before it may
_REMARK = timedelta(minutes=1)  # how exactly a key's last use is known
_NOBODY = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential as it was presented: nothing of it is proved yet."""

    tenant_id: uuid.UUID
    key_id: uuid.UUID
    secret: Secret


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential has been checked. `key_id` is None for one who came with a token."""

    tenant_id: uuid.UUID
    tenant_slug: str
    user_id: uuid.UUID
    role: str
    key_id: uuid.UUID | None = None

    def may(self, role: str) -> bool:
        """Whether the caller has `role`, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def require(self, role: str) -> None:
        """Raises Forbidden for a caller who does not have `role`."""
        if not self.may(role):
            raise Forbidden(f"this needs the role {role}; you are {self.role}", code="ROLE_REQUIRED")


class Recent:
    """Whose token was found to hold a moment ago, so that not every request asks again. `seconds` is that moment.

    Nobody is known while it is not `hearing`: for who remembers and is told of no change would let in who is suspended.
    """

    def __init__(self, seconds: float = 15.0, *, size: int = 10_000) -> None:
        self._seconds = seconds
        self._size = size
        self._until: dict[Principal, float] = {}
        self.hearing = True
        self.forgotten = 0  # how often everybody was

    def knows(self, principal: Principal) -> bool:
        """Whether that caller was added within the moment."""
        return self.hearing and self._until.get(principal, 0.0) > time.monotonic()

    def add(self, principal: Principal, *, forgotten: int) -> None:
        """From now on, for the moment. `forgotten` is as it was before that was looked up; else nothing is kept."""
        if forgotten != self.forgotten:
            return
        if len(self._until) >= self._size:
            self._until.clear()  # everybody is asked once more; that is all it costs
        self._until[principal] = time.monotonic() + self._seconds

    def forget(self) -> None:
        """Everybody is looked up anew."""
        self.forgotten += 1
        self._until.clear()


def new_secret() -> str:
    """256 random bits in characters that a double click selects as a whole."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def compose(tenant_id: uuid.UUID, key_id: uuid.UUID, secret: str) -> Secret:
    """The key as its owner sees it, once."""
    return Secret(f"jx_{tenant_id.hex}_{key_id.hex}_{secret}")


def parse(credential: str) -> Claim:
    """What a credential claims. Raises Unauthenticated when it is no API key."""
    found = _FORMAT.fullmatch(credential)
    if found is None:
        raise Unauthenticated("this is not an API key of the form jx_...")
    return Claim(uuid.UUID(found[1]), uuid.UUID(found[2]), Secret(found[3]))


async def by_key(driver: asyncpg.Connection, claim: Claim) -> Principal:
    """The caller behind `claim`, in a transaction bound to the claimed tenant. Raises Unauthenticated, Forbidden."""
    stored = await credentials.key(driver, claim.tenant_id, claim.key_id)
    # Compared even when there is no such key, so that both take as long.
    right = hmac.compare_digest(stored.secret_hash if stored else _NOBODY, digest(claim.secret.reveal()))
    if stored is None or not right:
        raise Unauthenticated("this API key is not valid")
    now = datetime.now(UTC)
    if stored.revoked_at is not None:
        raise Unauthenticated("this API key has been revoked")
    if stored.expires_at is not None and stored.expires_at <= now:
        raise Unauthenticated("this API key has expired")
    check_tenant(stored.tenant_status)
    if stored.last_used_at is None or now - stored.last_used_at > _REMARK:
        await credentials.mark_used(driver, claim.tenant_id, claim.key_id)
    return Principal(claim.tenant_id, stored.tenant_slug, stored.user_id, stored.role, claim.key_id)


async def still(driver: asyncpg.Connection, principal: Principal) -> None:
    """Whether what a token says is still so. Raises Unauthenticated, Forbidden.

    A token holds for minutes; a user who was removed, or whose role was changed, must not.
    """
    stored = await credentials.user(driver, principal.tenant_id, principal.user_id)
    if stored is None or stored.role != principal.role:
        raise Unauthenticated("this token is no longer valid", hint="ask for a new one")
    check_tenant(stored.tenant_status)


def check_tenant(status: str) -> None:
    """Raises Forbidden for a tenant that is not active."""
    if status != "active":
        raise Forbidden("this tenant is suspended", code="TENANT_SUSPENDED")
