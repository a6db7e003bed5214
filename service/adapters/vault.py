"""Vault (or OpenBao) behind a protocol of our own.

hvac is synchronous: inside an event loop, call these through a thread. Requests that cannot reach Vault, and answers that
say "not now", are tried again for as long as `patience` allows; what is wrong with a request is an error at once.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InternalServerError, InvalidPath, InvalidRequest, VaultDown, VaultError

from service.adapters.signing import FORBIDDEN, KEY_REFUSED
from service.core.errors import Conflict, VaultUnavailable
from service.core.settings import Secret

Result = TypeVar("Result")
KV, TRANSIT = "secret", "transit"  # where server.hcl mounts the engines
# Said for a moment after the KV engine was mounted, with status 400.
_UPGRADING = "Upgrading from non-versioned to versioned data"
# What OpenBao says with status 500, and Vault with 400, of a key's version that is retired, or that is not there yet.
_NO_VERSION = ("no such key version", "requested version for signing")


class SecretStore(Protocol):
    """What the platform needs of a vault."""

    def sign_in(self, role_id: str, secret_id: Secret) -> None:
        """Become that AppRole. Raises VaultUnavailable, also when it is refused."""

    def read(self, path: str) -> Mapping[str, str] | None:
        """The newest version at `path`, None when there is nothing."""

    def create(self, path: str, values: Mapping[str, str]) -> None:
        """Write the first version at `path`; Conflict when there ever was one."""

    def has_key(self, name: str) -> bool:
        """Whether there is a transit key of that name."""

    def create_key(self, name: str, kind: str) -> None:
        """Make a transit key, which cannot be exported; nothing happens when it exists."""

    def public_keys(self, name: str) -> Mapping[int, str]:
        """The public keys in PEM, by version, of a transit key of the kind ecdsa-p256, without those that are retired."""

    def sign(self, name: str, version: int, message: bytes) -> bytes:
        """A signature by that version of a transit key, over the SHA-256 of `message`: r and s, as JWTs have it.

        Raises VaultUnavailable: FORBIDDEN when our own token has ended, KEY_REFUSED when the version is retired.
        """


class Vault:
    """SecretStore over HTTP. `timeout` is per request, `patience` for a whole call with its retries, both in seconds."""

    def __init__(self, address: str, *, timeout: float = 2.0, patience: float = 10.0) -> None:
        if not address:  # hvac would look for one in the environment, or take a port of this machine
            raise VaultUnavailable("this installation has no Vault", code="VAULT_NOT_CONFIGURED", hint="set VAULT_ADDR")
        session = requests.Session()
        session.trust_env = False  # no proxy and no netrc of the user's between us and Vault
        # An empty token: without one hvac would take VAULT_TOKEN or ~/.vault-token of whoever runs us.
        self._client = hvac.Client(url=address, token="", timeout=timeout, allow_redirects=False, session=session)
        self._patience = patience

    def close(self) -> None:
        """Give the connections back."""
        self._client.adapter.close()

    def sign_in(self, role_id: str, secret_id: Secret) -> None:
        """Become that AppRole; its token is kept in this client alone."""
        try:
            self._call(lambda: self._client.auth.approle.login(role_id=role_id, secret_id=secret_id.reveal()))
        except Forbidden as error:  # there is no AppRole at all: see unfinished.sql among the templates
            raise VaultUnavailable(
                "Vault was interrupted while it set itself up for the first time",
                code="VAULT_UNFINISHED",
                hint="it holds nothing: stop it, run templates/openbao/unfinished.sql on its database, start it",
            ) from error
        except InvalidRequest as error:
            raise VaultUnavailable(
                f"Vault refuses the role {role_id}",
                code="VAULT_REFUSED",
                hint="its secret id is that of Vault's first start: put it back; a Vault older than it has to start anew",
            ) from error

    def read(self, path: str) -> Mapping[str, str] | None:
        """The newest version at `path`, None when there is nothing."""
        try:
            answer = self._call(
                lambda: self._client.secrets.kv.v2.read_secret_version(path, mount_point=KV, raise_on_deleted_version=False)
            )
        except InvalidPath:
            return None
        found: Mapping[str, str] | None = answer["data"]["data"]
        return found

    def create(self, path: str, values: Mapping[str, str]) -> None:
        """Write the first version at `path`: check-and-set with version 0 means that there must be none."""
        try:
            self._call(lambda: self._client.secrets.kv.v2.create_or_update_secret(path, dict(values), cas=0, mount_point=KV))
        except InvalidRequest as error:
            if "check-and-set" in str(error):
                raise Conflict(f"there is a secret at {path} already") from error
            raise

    def has_key(self, name: str) -> bool:
        """Whether there is a transit key of that name."""
        try:
            self._call(lambda: self._client.secrets.transit.read_key(name, mount_point=TRANSIT))
        except InvalidPath:
            return False
        return True

    def create_key(self, name: str, kind: str) -> None:
        """Make a transit key, which cannot be exported; nothing happens when it exists."""
        self._call(lambda: self._client.secrets.transit.create_key(name, key_type=kind, mount_point=TRANSIT))

    def public_keys(self, name: str) -> Mapping[int, str]:
        """The public keys in PEM, by version, of a transit key of the kind ecdsa-p256, without those that are retired."""
        found = self._permitted(lambda: self._client.secrets.transit.read_key(name, mount_point=TRANSIT))
        if found["type"] != "ecdsa-p256":
            raise VaultUnavailable(f"the key {name} in Vault is of the kind {found['type']}", code="VAULT_KEY_KIND")
        oldest = int(found["min_decryption_version"])
        versions = {int(version): str(key["public_key"]) for version, key in found["keys"].items()}
        return {version: pem for version, pem in versions.items() if version >= oldest}

    def sign(self, name: str, version: int, message: bytes) -> bytes:
        """A signature by that version of a transit key, over the SHA-256 of `message`: r and s, as JWTs have it."""
        found = self._permitted(
            lambda: self._client.secrets.transit.sign_data(
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

    def _permitted(self, request: Callable[[], Any]) -> Mapping[str, Any]:
        """What `request` answers about a key; whatever it is refused for is VaultUnavailable."""
        try:
            answer = self._call(request)
        except Forbidden as error:
            raise VaultUnavailable("Vault does not let us do that (any more)", code=FORBIDDEN) from error
        except (InvalidRequest, InternalServerError) as error:
            raise VaultUnavailable("Vault does not sign with that version of the key", code=KEY_REFUSED) from error
        except InvalidPath as error:
            raise VaultUnavailable("Vault has no such key", code="VAULT_KEY_MISSING", hint="run the seed process") from error
        found: Mapping[str, Any] = answer["data"]
        return found

    def version(self) -> str:
        """The server's version, without signing in and without retries. Raises VaultUnavailable, also when it is sealed."""
        try:
            answer = self._client.sys.read_health_status(method="GET", standby_ok=True)
        except (requests.RequestException, VaultError) as error:
            raise VaultUnavailable(f"Vault cannot be reached ({type(error).__name__})") from error
        found = answer if isinstance(answer, dict) else answer.json()
        if found.get("sealed") or not found.get("initialized"):
            raise VaultUnavailable("Vault is sealed" if found.get("initialized") else "Vault is not initialised")
        return str(found["version"])

    def _call(self, request: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._patience
        pause = 0.02
        while True:
            try:
                return request()
            except (requests.ConnectionError, requests.Timeout, VaultDown, InternalServerError) as error:
                if any(text in str(error) for text in _NO_VERSION):
                    raise
                reason: Exception = error
            except InvalidRequest as error:
                if _UPGRADING not in str(error):
                    raise
                reason = error
            if time.monotonic() + pause > deadline:
                raise VaultUnavailable(
                    f"Vault did not answer for {self._patience:g} s ({type(reason).__name__})"
                ) from reason
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret: clients must not come back at once
            pause = min(pause * 2, 1.0)
