"""Vault's own arrangements: its seal, engines, policies, roles, audit log. What to make of them: services/vault_setup.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from hvac.exceptions import InvalidPath, InvalidRequest, VaultError

from service.adapters.vault import AUDIT_IS_CONFIGURED, IN_USE, Vault
from service.core.errors import VaultUnavailable
from service.core.settings import Secret

AUDIT = "jeex"  # the path of the audit device


@dataclass(frozen=True, slots=True)
class Seal:
    """How a Vault is closed. One that opens itself (a key file, a KMS) needs no unseal keys, others `threshold` of them:
    0 before it is initialised."""

    initialised: bool
    sealed: bool
    opens_itself: bool
    threshold: int


@dataclass(frozen=True, slots=True)
class Initialised:
    """What a Vault says once, and never again: the keys that open it, and the token that may do everything."""

    keys: tuple[Secret, ...]
    root_token: Secret


class VaultSystem:
    """What can be done is what the role of `vault` allows; seal, initialise and unseal need none."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._sys = vault.client.sys
        self._approle = vault.client.auth.approle

    # --- seal ---

    def seal(self) -> Seal:
        """How it is closed. Raises VaultUnavailable."""
        found = self._vault.call(self._sys.read_seal_status)
        return Seal(found["initialized"], found["sealed"], found.get("type", "shamir") != "shamir", found["t"])

    def initialise(self, *, shares: int, threshold: int) -> Initialised:
        """Make a Vault that has never been used one's own. Raises VaultUnavailable.

        Asked once: what it answers is said once, so give the client of this a `timeout` of a minute.
        """
        try:
            made = self._sys.initialize(secret_shares=shares, secret_threshold=threshold)
        except InvalidRequest as error:
            raise VaultUnavailable(
                "Vault was initialised by somebody else at this moment", code="VAULT_INITIALISED_ELSEWHERE"
            ) from error
        except (requests.RequestException, VaultError) as error:
            raise VaultUnavailable(
                f"Vault could not be initialised ({type(error).__name__})", code=VaultUnavailable.UNREACHABLE
            ) from error
        return Initialised(tuple(Secret(key) for key in made["keys"]), Secret(made["root_token"]))

    def unseal(self, keys: Sequence[Secret]) -> bool:
        """Open it with as many of `keys` as it asks for. False when it stays closed: they are not its keys, or too few.

        Raises VaultUnavailable.
        """
        if not self._vault.call(self._sys.read_seal_status)["sealed"]:
            return True
        # What others have put in before us, and half of what we put in, does not stay.
        self._vault.call(lambda: self._sys.submit_unseal_key(reset=True))
        for key in keys:
            try:
                state = self._vault.call(lambda key=key: self._sys.submit_unseal_key(key=key.reveal()))  # type: ignore[misc]
            except InvalidRequest:
                return False
            if not state["sealed"]:
                return True
        self._vault.call(lambda: self._sys.submit_unseal_key(reset=True))
        return False

    # --- engines, policies, roles ---

    def engines(self) -> set[str]:
        """The paths where secrets engines are mounted."""
        found = self._vault.permitted(self._sys.list_mounted_secrets_engines)
        return {path.rstrip("/") for path in found["data"]}

    def mount(self, path: str, kind: str, *, version: str | None = None) -> None:
        """Mount a secrets engine; nothing happens where something is mounted."""
        options = {"version": version} if version else None
        self._make(lambda: self._sys.enable_secrets_engine(kind, path=path, options=options))

    def enable_approle(self) -> None:
        """Let processes sign in as roles; nothing happens where they can."""
        self._make(lambda: self._sys.enable_auth_method("approle"))

    def policy(self, name: str) -> str | None:
        """The text of a policy, None where there is none."""
        try:
            found = self._vault.permitted(lambda: self._sys.read_acl_policy(name))
        except InvalidPath:
            return None
        return str(found["data"]["policy"])

    def write_policy(self, name: str, text: str) -> None:
        """Make a policy, or make it another."""
        self._vault.permitted(lambda: self._sys.create_or_update_acl_policy(name, text))

    def write_role(self, name: str, **options: Any) -> None:
        """Make an AppRole whose id is its name, or change it. `options` are those of Vault's API."""
        self._vault.permitted(lambda: self._approle.create_or_update_approle(name, **options))
        self._vault.permitted(lambda: self._approle.update_role_id(name, name))

    def set_secret_id(self, role: str, secret_id: Secret) -> None:
        """Make `secret_id` the one that `role` signs in with. Those before it end."""
        try:
            old = self._vault.permitted(lambda: self._approle.list_secret_id_accessors(role))["data"]["keys"]
        except InvalidPath:
            old = []
        for accessor in old:
            self._vault.permitted(lambda one=accessor: self._approle.destroy_secret_id_accessor(role, one))  # type: ignore[misc]
        self._vault.permitted(lambda: self._approle.create_custom_secret_id(role, secret_id.reveal()))

    # --- audit ---

    def audited(self) -> bool:
        """Whether every request is written down. The role must be allowed to look."""
        return bool(self._vault.permitted(self._sys.list_enabled_audit_devices)["data"])

    def enable_audit(self, file: str) -> None:
        """Write every request to `file`, `stdout` for the server's output; nothing happens where that is done.

        OpenBao is configured to, and refuses to be told.
        """
        try:
            self._make(lambda: self._sys.enable_audit_device("file", path=AUDIT, options={"file_path": file}))
        except InvalidRequest as error:
            if AUDIT_IS_CONFIGURED not in str(error):
                raise

    def shown_headers(self) -> set[str]:
        """The request headers, in lower case, that the audit log shows as they are."""
        try:
            found = self._vault.permitted(lambda: self._vault.client.adapter.get("/v1/sys/config/auditing/request-headers"))
        except InvalidPath:
            return set()
        return {name.lower() for name, one in found["data"]["headers"].items() if not one.get("hmac")}

    def show_header(self, name: str) -> None:
        """Have the audit log show that request header as it is."""
        path = f"/v1/sys/config/auditing/request-headers/{name}"
        self._vault.permitted(lambda: self._vault.client.adapter.post(path, json={"hmac": False}))

    def _make(self, request: Callable[[], Any]) -> None:
        """Make something at a path. Two who do that at once are both content."""
        try:
            self._vault.permitted(request)
        except InvalidRequest as error:
            if IN_USE not in str(error):
                raise
