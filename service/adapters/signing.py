"""Keys that sign and never leave Vault, behind a protocol of our own. A key's `kid` is its version in Vault, as text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from service.adapters.vault_session import VaultSession
from service.core.errors import VaultUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    from service.adapters.vault import Vault

KEY = "jwt"  # the transit key that `seed` makes


class Signer(Protocol):
    """ECDSA over P-256 with SHA-256."""

    async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """Every key that is not retired by its kid, oldest first. Raises VaultUnavailable."""

    async def sign(self, message: bytes, kid: str) -> bytes:
        """r and s, 32 bytes each, as JWS has them. Raises VaultUnavailable, with KEY_REFUSED for a key that is retired."""


class TransitSigner:
    """Vault's transit engine."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """Every version that is not retired, oldest first."""
        return await self._session.run(_public_keys)

    async def sign(self, message: bytes, kid: str) -> bytes:
        """With that version of the key."""
        return await self._session.run(lambda vault: _sign(vault, message, int(kid)))


def _public_keys(vault: Vault) -> Mapping[str, EllipticCurvePublicKey]:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from service.adapters.vault_keys import VaultKeys

    return {
        str(one.version): cast("EllipticCurvePublicKey", load_pem_public_key(one.public_key.encode()))
        for one in VaultKeys(vault).versions(KEY)
    }


def _sign(vault: Vault, message: bytes, version: int) -> bytes:
    from service.adapters.vault_keys import VaultKeys

    return VaultKeys(vault).sign(KEY, version, message)


class LocalSigner:
    """A Signer with keys in memory, for tests. While `away` is set it cannot be reached; `readings` counts."""

    def __init__(self) -> None:
        self._keys: dict[str, EllipticCurvePrivateKey] = {}
        self._last = 0
        self.away = False
        self.readings = 0
        self.rotate()

    def rotate(self) -> str:
        """Add a key; its kid."""
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

        self._last += 1
        self._keys[str(self._last)] = generate_private_key(SECP256R1())
        return str(self._last)

    def retire(self, kid: str) -> None:
        """Neither sign with that key nor list it any more."""
        del self._keys[kid]

    async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """Every key that is not retired, oldest first."""
        self.readings += 1
        await asyncio.sleep(0)  # as one that is asked over a network
        self._reach()
        return {kid: key.public_key() for kid, key in self._keys.items()}

    async def sign(self, message: bytes, kid: str) -> bytes:
        """With that key."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256

        await asyncio.sleep(0)
        self._reach()
        if kid not in self._keys:
            raise VaultUnavailable(f"there is no key {kid}", code=VaultUnavailable.KEY_REFUSED)
        r, s = decode_dss_signature(self._keys[kid].sign(message, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def _reach(self) -> None:
        if self.away:
            raise VaultUnavailable("the signer is away")
