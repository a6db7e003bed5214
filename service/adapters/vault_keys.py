"""The transit engine: keys that sign and never leave."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hvac.exceptions import InternalServerError, InvalidPath, InvalidRequest

from service.adapters.vault import Vault
from service.core.errors import VaultUnavailable

TRANSIT = "transit"  # where vault_setup.py mounts the engine


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key: its public half in PEM, and since when it is there."""

    version: int
    public_key: str
    created_at: datetime


class VaultKeys:
    """What can be done with keys is what the role of `vault` allows."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._transit = vault.client.secrets.transit

    def exists(self, name: str) -> bool:
        """Whether there is a key of that name."""
        try:
            self._vault.permitted(lambda: self._transit.read_key(name, mount_point=TRANSIT))
        except InvalidPath:
            return False
        return True

    def create(self, name: str, kind: str) -> None:
        """Make a key, which cannot be exported; nothing happens when it exists."""
        self._vault.permitted(lambda: self._transit.create_key(name, key_type=kind, mount_point=TRANSIT))

    def versions(self, name: str) -> list[KeyVersion]:
        """Of a key of the kind ecdsa-p256: every version that is not retired, oldest first."""
        found = self._asked(lambda: self._transit.read_key(name, mount_point=TRANSIT))
        if found["type"] != "ecdsa-p256":
            raise VaultUnavailable(f"the key {name} in Vault is of the kind {found['type']}", code="VAULT_KEY_KIND")
        oldest = int(found["min_decryption_version"])
        versions = sorted((int(version), about) for version, about in found["keys"].items())
        return [
            KeyVersion(version, about["public_key"], datetime.fromisoformat(about["creation_time"]))
            for version, about in versions
            if version >= oldest
        ]

    def rotate(self, name: str) -> None:
        """Add a version, which is the newest from then on."""
        self._asked(lambda: self._transit.rotate_key(name, mount_point=TRANSIT))

    def retire(self, name: str, *, oldest: int) -> None:
        """Versions before `oldest` neither sign nor prove anything any more."""
        self._asked(lambda: self._transit.update_key_configuration(name, min_decryption_version=oldest, mount_point=TRANSIT))

    def sign(self, name: str, version: int, message: bytes) -> bytes:
        """A signature by that version, over the SHA-256 of `message`: r and s, as JWTs have it."""
        found = self._asked(
            lambda: self._transit.sign_data(
                name,
                hash_input=base64.b64encode(message).decode(),
                key_version=version,
                hash_algorithm="sha2-256",
                marshaling_algorithm="jws",
                mount_point=TRANSIT,
            )
        )
        text = str(found["signature"]).rpartition(":")[2]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def _asked(self, request: Callable[[], Any]) -> Mapping[str, Any]:
        """What `request` answers about a key; whatever it is refused for is VaultUnavailable."""
        try:
            answer = self._vault.permitted(request)
        except (InvalidRequest, InternalServerError) as error:
            raise VaultUnavailable(
                "Vault does not sign with that version of the key", code=VaultUnavailable.KEY_REFUSED
            ) from error
        except InvalidPath as error:
            raise VaultUnavailable("Vault has no such key", code="VAULT_KEY_MISSING", hint="run the seed process") from error
        # What changes a key answers with the key, or with nothing but its status: OpenBao the one, older Vaults the other.
        return answer["data"] if isinstance(answer, dict) else {}
