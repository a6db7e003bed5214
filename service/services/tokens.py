"""Access tokens: JWTs of ten minutes, signed with ES256 by keys that this process never holds.

A token proves its tenant, user and role without a question to anybody. Each is checked once and remembered until it expires;
the keys are read again in the background, so that a token holds while Vault is away and ends when its key is retired.
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from service.adapters.signing import Signer
from service.core.errors import Unauthenticated
from service.core.settings import Secret
from service.services.authentication import ROLES

ISSUER, AUDIENCE = "jeex", "jeex-api"
LIFE = 600  # seconds
_LEEWAY = 5  # seconds that clocks may differ
_LONGEST = 4096  # characters of a token that is looked at
_REMEMBERED = 10_000  # tokens
_FRESH = 60.0  # seconds until the keys are read again
_PAUSE = 5.0  # seconds before an unknown key, or a failure, makes us ask again
_REQUIRED = ["iss", "aud", "sub", "tid", "tslug", "role", "iat", "nbf", "exp"]


@dataclass(frozen=True, slots=True)
class Token:
    """A new token; it holds for `expires_in` seconds."""

    value: Secret
    expires_in: int


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token proves. `expires_at` is in seconds since the epoch, `kid` names the key that signed it."""

    tenant_id: uuid.UUID
    tenant_slug: str
    user_id: uuid.UUID
    role: str
    expires_at: float
    kid: str


class Tokens:
    """Issues and verifies. `clock` gives seconds since the epoch."""

    def __init__(self, signer: Signer, *, clock: Callable[[], float] = time.time) -> None:
        self._signer = signer
        self._clock = clock
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self._asked_at = float("-inf")  # of the last attempt to read the keys, by the monotonic clock
        self._read_at = float("-inf")  # of the last that succeeded
        self._since: dict[str, float] = {}  # when each key was first seen, by the monotonic clock
        self._reading: asyncio.Task[None] | None = None
        self._verified: dict[str, VerifiedToken] = {}

    async def issue(self, *, tenant_id: uuid.UUID, tenant_slug: str, user_id: uuid.UUID, role: str) -> Token:
        """A token for that user. Raises VaultUnavailable."""
        await self._known()
        now = int(self._clock())
        kid = self._signing_key()
        header = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "tid": str(tenant_id),
            "tslug": tenant_slug,
            "role": role,
            "iat": now,
            "nbf": now,
            "exp": now + LIFE,
            "jti": uuid.uuid4().hex,
        }
        message = b".".join(_encode(orjson.dumps(part)) for part in (header, claims))
        signature = await self._signer.sign(message, kid)
        return Token(Secret((message + b"." + _encode(signature)).decode()), LIFE)

    async def verify(self, text: str) -> VerifiedToken:
        """What `text` proves. Raises Unauthenticated, and VaultUnavailable where no key was ever read."""
        found = self._verified.get(text)
        if found is None:
            return await self._verify(text)
        if found.expires_at <= self._clock() or found.kid not in self._keys:
            self._verified.pop(text, None)
            raise _refused()
        if time.monotonic() - self._read_at > _FRESH:
            self._read_again()
        return found

    async def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517). Raises VaultUnavailable."""
        await self._known()
        if time.monotonic() - self._read_at > _FRESH:
            self._read_again()
        return {
            "keys": [
                {**ECAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "alg": "ES256", "use": "sig"}
                for kid, key in self._keys.items()
            ]
        }

    async def _verify(self, text: str) -> VerifiedToken:
        if len(text) > _LONGEST:
            raise _refused()
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError as error:
            raise _refused() from error
        kid = header.get("kid")
        if not isinstance(kid, str) or header.get("alg") != "ES256" or "crit" in header:
            raise _refused()
        key = (await self._known(kid)).get(kid)
        if key is None:
            raise _refused()
        try:
            claims = jwt.decode(
                text,
                key,
                algorithms=["ES256"],  # what the header says of it is not asked
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=_LEEWAY,
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            now = self._clock()
            verified = VerifiedToken(
                tenant_id=uuid.UUID(claims["tid"]),
                tenant_slug=str(claims["tslug"]),
                user_id=uuid.UUID(claims["sub"]),
                role=claims["role"],
                expires_at=float(claims["exp"]) + _LEEWAY,
                kid=kid,
            )
            holds = claims["nbf"] - _LEEWAY <= now < verified.expires_at and verified.role in ROLES
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise _refused() from error
        if not holds:
            raise _refused()
        self._remember(text, verified)
        return verified

    def _remember(self, text: str, verified: VerifiedToken) -> None:
        if len(self._verified) >= _REMEMBERED:
            now = self._clock()
            self._verified = {one: token for one, token in self._verified.items() if token.expires_at > now}
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()  # each is checked once more; that is all it costs
        self._verified[text] = verified

    def _signing_key(self) -> str:
        """The newest key that everybody who reads our keys has had time to see; the oldest when none is that old."""
        now = time.monotonic()
        seen = [kid for kid in self._keys if now - self._since[kid] >= _FRESH * 2]
        return seen[-1] if seen else next(iter(self._keys))

    async def _known(self, kid: str | None = None) -> Mapping[str, EllipticCurvePublicKey]:
        """The keys; read first when there are none, or when there is none of that name and we have not just asked."""
        missing = not self._keys or (kid is not None and kid not in self._keys)
        if missing and (self._reading or time.monotonic() - self._asked_at > _PAUSE or not self._keys):
            await asyncio.shield(self._read_again())
        elif time.monotonic() - self._read_at > _FRESH:
            self._read_again()
        return self._keys

    def _read_again(self) -> asyncio.Task[None]:
        """One reading for all who want one; after a failure not at once."""
        if self._reading is None and (not self._keys or time.monotonic() - self._asked_at > _PAUSE):
            self._asked_at = time.monotonic()
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._done)
        return self._reading or asyncio.create_task(_nothing())

    async def _read(self) -> None:
        keys = await self._signer.public_keys()
        now = time.monotonic()
        first = not self._since
        # What is there when we begin has been there for others; what comes later has to be seen first.
        self._since = {kid: self._since.get(kid, float("-inf") if first else now) for kid in keys}
        self._keys, self._read_at = keys, now

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().warning("tokens.keys_not_read", reason=str(error), known=len(self._keys))


async def _nothing() -> None:
    """What is waited for when nothing is to be read."""


def _refused() -> Unauthenticated:
    return Unauthenticated("this token is not valid", hint="ask for a new one: POST /api/v1/tokens")


def _encode(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
