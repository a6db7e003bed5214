"""Keys that sign and never leave Vault, behind a protocol of our own. A key's `kid` is its version in Vault, as text.

Vault's client is synchronous, so calls run in a few threads of their own: requests that need no signature do not wait for
those that do.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from service.core.errors import VaultUnavailable
from service.core.settings import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    from service.adapters.vault import Vault

Result = TypeVar("Result")
KEY = "jwt"  # the transit key that `seed` makes
FORBIDDEN = "VAULT_FORBIDDEN"  # what VaultUnavailable says of a token that has ended, or that may not do this
KEY_REFUSED = "VAULT_KEY_REFUSED"  # and of a key that does not sign any more


class Signer(Protocol):
    """ECDSA over P-256 with SHA-256."""

    async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """Every key that is not retired by its kid, oldest first. Raises VaultUnavailable."""

    async def sign(self, message: bytes, kid: str) -> bytes:
        """r and s, 32 bytes each, as JWS has them. Raises VaultUnavailable, with KEY_REFUSED for a key that is retired."""


class TransitSigner:
    """Vault's transit engine, as an AppRole. `at_once` is how many calls may be under way."""

    def __init__(
        self, get_vault: Callable[[], Awaitable[Vault]], role_id: str, secret_id: Secret, *, at_once: int = 4
    ) -> None:
        self._get_vault = get_vault
        self._role_id = role_id
        self._secret_id = secret_id
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="vault")
        self._signing_in = threading.Lock()
        self._signed_in = 0  # how often

    async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """Every version that is not retired, oldest first."""
        return await self._call(_public_keys)

    async def sign(self, message: bytes, kid: str) -> bytes:
        """With that version of the key."""
        return await self._call(lambda vault: vault.sign(KEY, int(kid), message))

    async def _call(self, work: Callable[[Vault], Result]) -> Result:
        if not (self._role_id and self._secret_id):
            raise VaultUnavailable(
                "this installation has no way into Vault",
                code="VAULT_NOT_CONFIGURED",
                hint="set VAULT_ADDR, VAULT_ROLE_ID and VAULT_SECRET_ID; API keys need no Vault",
            )
        vault = await self._get_vault()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._signed, vault, work)

    def _signed(self, vault: Vault, work: Callable[[Vault], Result]) -> Result:
        """`work` as the AppRole. Its token ends after a while, or is revoked: then once more with a new one."""
        before = self._signed_in
        if before:
            try:
                return work(vault)
            except VaultUnavailable as error:
                if error.code != FORBIDDEN:
                    raise
        with self._signing_in:
            if self._signed_in == before:  # no other thread was faster
                vault.sign_in(self._role_id, self._secret_id)
                self._signed_in += 1
        return work(vault)


def _public_keys(vault: Vault) -> Mapping[str, EllipticCurvePublicKey]:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found = sorted(vault.public_keys(KEY).items())
    return {str(version): cast("EllipticCurvePublicKey", load_pem_public_key(pem.encode())) for version, pem in found}


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
            raise VaultUnavailable(f"there is no key {kid}", code=KEY_REFUSED)
        r, s = decode_dss_signature(self._keys[kid].sign(message, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def _reach(self) -> None:
        if self.away:
            raise VaultUnavailable("the signer is away")
