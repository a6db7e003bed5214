"""Access tokens: JWTs (RFC 9068) signed with ES256 by a key in Vault, good for ten minutes.

A token holds without asking anybody: whoever has the public keys can check it. What it says of its user may have changed
meanwhile: `authentication.still` asks the database now and then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.adapters.signing import Signer
from service.core.errors import Unauthenticated, VaultUnavailable
from service.core.settings import Secret
from service.services.authentication import ROLES
from service.services.signing_keys import SigningKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_ALGORITHM, _TYPE = "ES256", "at+jwt"
_LONGEST = 2048  # characters; ours have some 600
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")
_REQUIRED = ["iss", "aud", "sub", "tid", "tslug", "role", "iat", "nbf", "exp", "jti"]
LIFE = 600  # seconds that a token holds
LEEWAY = 5  # seconds that clocks may differ


@dataclass(frozen=True, slots=True)
class Token:
    """A token to hand out, once. `expires_in` is in seconds."""

    value: Secret
    expires_at: datetime
    expires_in: int


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token that holds says of its bearer."""

    tenant_id: uuid.UUID
    tenant_slug: str
    user_id: uuid.UUID
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified. `until` is in the clock's seconds."""

    token: VerifiedToken
    kid: str
    until: float


class Tokens:
    """Issues and verifies them. `ttl` and `announced` are in seconds, `size` is how many verified ones are remembered.

    `announced` is how long a new key is published before it signs: see SigningKeys. `clock` is of the world, as time.time;
    `monotonic` is for the age of keys.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        issuer: str = "jeex",
        audience: str = "jeex-api",
        ttl: int = LIFE,
        announced: float = 120.0,
        size: int = 10_000,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._keys = SigningKeys(signer, announced=announced, clock=monotonic)
        self._verified: OrderedDict[bytes, _Known] = OrderedDict()  # by SHA-256, so that no credential is kept

    async def issue(self, *, tenant_id: uuid.UUID, tenant_slug: str, user_id: uuid.UUID, role: str) -> Token:
        """A new token. Raises VaultUnavailable."""
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "tid": str(tenant_id),
            "tslug": tenant_slug,
            "role": role,
            "iat": now,
            "nbf": now,
            "exp": now + self._ttl,
            "jti": uuid.uuid4().hex,
        }
        try:
            text = await self._sign(claims)
        except VaultUnavailable as error:
            if error.code != VaultUnavailable.KEY_REFUSED:
                raise
            await self._keys.read_again()  # that key was retired since they were read
            text = await self._sign(claims)
        return Token(Secret(text), datetime.fromtimestamp(now + self._ttl, UTC), self._ttl)

    async def verify(self, text: str) -> VerifiedToken:
        """What `text` says, when it is a token of ours that holds.

        Raises Unauthenticated, which never says what is wrong, and VaultUnavailable while no key was ever read. A token
        that was verified before costs a few microseconds; what a new one costs is its signature.
        """
        if len(text) > _LONGEST or not text.isascii():
            raise _refused()
        digest = hashlib.sha256(text.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and known.until > self._clock() and known.kid in self._keys.known:
            self._keys.freshen()
            return known.token
        kid = _kid(text)
        key = await self._keys.find(kid)
        if key is None:
            raise _refused()
        token = self._claimed(_proved(text, key, self._issuer, self._audience))
        self._remember(digest, _Known(token, kid, token.expires_at.timestamp() + LEEWAY))
        return token

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set (RFC 7517). Raises VaultUnavailable."""
        return {"keys": [_jwk(kid, key) for kid, key in (await self._keys.current()).items()]}

    async def _sign(self, claims: Mapping[str, object]) -> str:
        kid = await self._keys.signing()
        message = f"{_encoded({'alg': _ALGORITHM, 'typ': _TYPE, 'kid': kid})}.{_encoded(claims)}"
        return f"{message}.{_base64(await self._signer.sign(message.encode(), kid))}"

    def _claimed(self, claims: Mapping[str, Any]) -> VerifiedToken:
        """`claims`, each of which must be what we would have written. Raises Unauthenticated."""
        now = self._clock()
        times = [claims[name] for name in ("iat", "nbf", "exp")]
        if not all(type(one) is int for one in times):  # a bool is an int to isinstance
            raise _refused()
        issued, begins, ends = times
        if max(issued, begins) > now + LEEWAY or ends <= now - LEEWAY or not issued < ends <= issued + 10 * self._ttl:
            raise _refused()
        slug, role = claims["tslug"], claims["role"]
        if not (isinstance(slug, str) and slug and isinstance(role, str) and role in ROLES):
            raise _refused()
        return VerifiedToken(_uuid(claims["tid"]), slug, _uuid(claims["sub"]), role, datetime.fromtimestamp(ends, UTC))

    def _remember(self, digest: bytes, known: _Known) -> None:
        """The oldest are forgotten: those that have ended, and one where there are too many."""
        self._verified[digest] = known
        now = self._clock()
        while self._verified:
            oldest = next(iter(self._verified.values()))
            if oldest.until > now and len(self._verified) <= self._size:
                break
            self._verified.popitem(last=False)


def _refused() -> Unauthenticated:
    return Unauthenticated("this token is not valid", hint="tokens hold for ten minutes: ask for a new one")


def _kid(text: str) -> str:
    """Which key `text` says that it is signed with. Raises Unauthenticated for what cannot be a token of ours."""
    import jwt

    if not _FORM.fullmatch(text):
        raise _refused()
    try:
        header = jwt.get_unverified_header(text)
    except jwt.PyJWTError as error:
        raise _refused() from error
    # A header that asks for more than a signature (crit) asks for what we do not do. Keys that a token brings along or
    # points to (jwk, jku, x5c, x5u) are never looked at.
    if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE or "crit" in header:
        raise _refused()
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise _refused()
    return kid


def _proved(text: str, key: EllipticCurvePublicKey, issuer: str, audience: str) -> Mapping[str, Any]:
    """The claims of `text`, when `key` has signed them for us. Times are left to our own clock. Raises Unauthenticated."""
    import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key,
            algorithms=[_ALGORITHM],
            issuer=issuer,
            audience=audience,
            options={
                "require": _REQUIRED,
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise _refused() from error
    return claims


def _uuid(text: object) -> uuid.UUID:
    try:
        found = uuid.UUID(text) if isinstance(text, str) else None
    except ValueError as error:
        raise _refused() from error
    if found is None or str(found) != text:  # UUID also reads other spellings
        raise _refused()
    return found


def _jwk(kid: str, key: EllipticCurvePublicKey) -> dict[str, str]:
    point = key.public_numbers()
    x, y = (_base64(number.to_bytes(32)) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": _ALGORITHM, "use": "sig"}


def _encoded(value: Mapping[str, object]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
