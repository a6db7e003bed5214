"""Signatures over tokens, by keys that this process never holds.

`Signer` is the seam. `TransitSigner` asks Vault's Transit engine; `LocalSigner` has its keys in memory, for tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from service.core.errors import VaultUnavailable
from service.core.settings import Secret

if TYPE_CHECKING:
    from service.adapters.vault import Vault

Result = TypeVar("Result")
_KEY = "jwt"  # the Transit key
_AT_ONCE = 4  # threads that wait for Vault
_SIDE = 32  # bytes of r, and of s


class Signer(Protocol):
    """Keys by `kid`, the oldest first; the newest is the last."""

    async def public_keys(self) -> Mapping[str, ec.EllipticCurvePublicKey]:
        """The keys whose signatures hold; those that are retired are not among them. Raises VaultUnavailable."""

    async def sign(self, message: bytes, kid: str) -> bytes:
        """r and s of an ECDSA signature over the SHA-256 of `message`, 64 bytes. Raises VaultUnavailable."""


class TransitSigner:
    """Signer over Vault. `vault` gives the client, made when first needed; it signs in as the API's AppRole."""

    def __init__(self, vault: Callable[[], Awaitable[Vault]], role_id: str, secret_id: Secret) -> None:
        self._vault = vault
        self._role_id = role_id
        self._secret_id = secret_id
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._signed_in = False

    async def public_keys(self) -> Mapping[str, ec.EllipticCurvePublicKey]:
        """The versions of the Transit key that are not retired."""
        found = await self._ask(lambda vault: vault.public_keys(_KEY))
        keys: dict[str, ec.EllipticCurvePublicKey] = {}
        for version, pem in sorted(found.items()):
            key = serialization.load_pem_public_key(pem.encode())
            if isinstance(key, ec.EllipticCurvePublicKey):
                keys[str(version)] = key
        return keys

    async def sign(self, message: bytes, kid: str) -> bytes:
        """Signed by the version `kid`, in Vault."""
        return await self._ask(lambda vault: vault.sign(_KEY, int(kid), message))

    async def _ask(self, what: Callable[[Vault], Result]) -> Result:
        if not (self._role_id and self._secret_id):
            raise VaultUnavailable(
                "this API has no way into Vault",
                code="SIGNING_OFF",
                hint="set VAULT_ADDR, VAULT_ROLE_ID and VAULT_SECRET_ID; API keys work without",
            )
        vault = await self._vault()
        async with self._turn:
            return await asyncio.to_thread(self._asked, vault, what)

    def _asked(self, vault: Vault, what: Callable[[Vault], Result]) -> Result:
        if self._signed_in:
            try:
                return what(vault)
            except VaultUnavailable as error:
                if error.code != "VAULT_FORBIDDEN":  # our token has run out, or was revoked
                    raise
        vault.sign_in(self._role_id, self._secret_id)
        self._signed_in = True
        return what(vault)


class LocalSigner:
    """Signer with keys in memory, for tests."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.rotate()

    def rotate(self) -> str:
        """A new key; its kid."""
        kid = str(len(self._keys) + 1)
        self._keys[kid] = ec.generate_private_key(ec.SECP256R1())
        return kid

    def retire(self, kid: str) -> None:
        """What was signed by that key holds no more."""
        del self._keys[kid]

    async def public_keys(self) -> Mapping[str, ec.EllipticCurvePublicKey]:
        """The keys that are not retired."""
        self.asked += 1
        await asyncio.sleep(0)
        self._check()
        return {kid: key.public_key() for kid, key in self._keys.items()}

    async def sign(self, message: bytes, kid: str) -> bytes:
        """Signed by that key."""
        self._check()
        r, s = utils.decode_dss_signature(self._keys[kid].sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_SIDE, "big") + s.to_bytes(_SIDE, "big")

    def _check(self) -> None:
        if self.down:
            raise VaultUnavailable("Vault is away")
