"""Tokens as we make them, and as we never would: every part of one can be replaced, and the signature still holds."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from service.adapters.signing import LocalSigner
from service.services.tokens import Tokens

TENANT, USER = uuid.UUID(int=1), uuid.UUID(int=2)
NOW = 1_800_000_000.0
GONE = ...  # in place of a value: leave that one out


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """Tokens over keys in memory, on one clock."""

    clock: Clock = field(default_factory=Clock)
    signer: LocalSigner = field(default_factory=LocalSigner)

    def tokens(self, **options: Any) -> Tokens:
        return Tokens(self.signer, clock=self.clock, monotonic=self.clock, **options)

    async def forged(self, *, kid: str = "1", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with the true signature of the key `kid` over whatever is asked for."""
        message = unsigned(kid=kid, header=header, now=self.clock.now, **claims)
        return f"{message}.{b64(await self.signer.sign(message.encode(), kid))}"


def unsigned(*, kid: str = "1", header: dict[str, Any] | None = None, now: float = NOW, **claims: Any) -> str:
    """The signed part of such a token."""
    return f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': kid}, header)}.{part(_claims(int(now)), claims)}"


def _claims(now: int) -> dict[str, Any]:
    who = {"iss": "jeex", "aud": "jeex-api", "sub": str(USER), "tid": str(TENANT), "tslug": "acme", "role": "admin"}
    return {**who, "iat": now, "nbf": now, "exp": now + 600, "jti": uuid.uuid4().hex}


def part(usual: dict[str, Any], changes: dict[str, Any] | None) -> str:
    """One part of a token, with `changes`."""
    return b64(json.dumps({name: value for name, value in {**usual, **(changes or {})}.items() if value is not GONE}))


def b64(raw: bytes | str) -> str:
    """base64url without its padding."""
    return base64.urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).rstrip(b"=").decode()


def opened(text: str, index: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a token."""
    segment = text.split(".")[index]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return found
