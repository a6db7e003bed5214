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
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from service.adapters import tenants
from service.core.errors import Forbidden, Unauthenticated
from service.core.settings import Secret

_FORMAT = re.compile(r"jx_([0-9a-f]{32})_([0-9a-f]{32})_([0-9A-Za-z]{43})")
_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 43  # characters of 62: 256 bits
_NOBODY = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential as it was presented: nothing of it is proved yet."""

    tenant_id: uuid.UUID
    key_id: uuid.UUID
    secret: Secret


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential has been checked."""

    tenant_id: uuid.UUID
    tenant_slug: str
    tenant_name: str
    user_id: uuid.UUID
    email: str
    display_name: str
    role: str
    key_id: uuid.UUID


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


async def authenticate(session: AsyncSession, claim: Claim) -> Principal:
    """The caller behind `claim`, in a session bound to the claimed tenant. Raises Unauthenticated, Forbidden."""
    stored = await tenants.key(session, claim.tenant_id, claim.key_id)
    # Compared even when there is no such key, so that both take as long.
    right = hmac.compare_digest(stored.secret_hash if stored else _NOBODY, digest(claim.secret.reveal()))
    if stored is None or not right:
        raise Unauthenticated("this API key is not valid")
    if stored.revoked_at is not None:
        raise Unauthenticated("this API key has been revoked")
    if stored.expires_at is not None and stored.expires_at <= datetime.now(UTC):
        raise Unauthenticated("this API key has expired")
    if stored.tenant_status != "active":
        raise Forbidden("this tenant is suspended", code="TENANT_SUSPENDED")
    return Principal(
        tenant_id=claim.tenant_id,
        tenant_slug=stored.tenant_slug,
        tenant_name=stored.tenant_name,
        user_id=stored.user_id,
        email=stored.email,
        display_name=stored.display_name,
        role=stored.role,
        key_id=claim.key_id,
    )
