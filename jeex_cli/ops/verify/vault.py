"""Vault, attacked as the API and as the worker, with the policies that they really have there.

The way in is the one that `jeex up` hands to a process: a secret id for one use, and a token that is ended afterwards. What
would only read is asked for real. What would write, end or delete is not done: Vault itself says what the token may.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jeex_cli.ops import vault as vaults
from jeex_cli.ops.verify.evidence import Evidence
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.vault import Vault

_CLOSE = "jeex secrets seed writes the policies as this version declares them: jeex secrets policy shows the difference"
_HOLDS = "60s"  # of the handover
_EVERYBODY = (
    *("secret/metadata/jeex?list=true", "secret/config", "secret/data/another/secret", "secret/metadata/?list=true"),
    *("sys/policies/acl?list=true", "sys/policies/acl/jeex-setup", "sys/mounts", "sys/auth", "sys/audit", "sys/raw/core"),
    *("auth/approle/role?list=true", "auth/approle/role/jeex-operator", "auth/approle/role/jeex-setup"),
    *("auth/token/accessors?list=true", "identity/entity/id?list=true", "sys/leases/lookup/database/creds/app?list=true"),
    *("database/config/jeex", "database/roles?list=true", "transit/keys?list=true", "transit/export/signing-key/jwt"),
    *("sys/config/auditing/request-headers", "sys/internal/counters/activity"),
)
_READS = {
    "jeex-api": ("secret/data/jeex/queue-key", "secret/data/jeex/rotation/jwt", "secret/metadata/jeex/api-pepper"),
    "jeex-worker": ("secret/data/jeex/api-pepper", "secret/data/jeex/oauth/google", "secret/metadata/another?list=true"),
}
_CHANGES = ("create", "update", "delete", "patch", "sudo", "root")
_NOT_CHANGED = (
    *("secret/data/jeex/settings", "secret/data/jeex/canary", "secret/data/another", "secret/destroy/jeex/settings"),
    *("secret/metadata/jeex/settings", "secret/delete/jeex/settings", "transit/keys/another", "transit/keys/jwt"),
    *(
        "transit/export/signing-key/jwt",
        "sys/policies/acl/jeex-api",
        "sys/policies/acl/jeex-worker",
        "sys/policies/acl/another",
    ),
    *("sys/mounts/another", "sys/auth/another", "sys/audit/another", "sys/seal", "sys/step-down", "sys/rotate"),
    *("sys/generate-root/attempt", "sys/raw/core", "auth/token/create", "auth/token/create-orphan", "database/config/jeex"),
    *("database/roles/app", "database/roles/admin", "database/config/another", "auth/approle/role/another"),
    *("auth/approle/role/jeex-operator/secret-id", "auth/approle/role/jeex-setup/secret-id", "auth/approle/role/jeex-api"),
    *("auth/approle/role/jeex-worker", "identity/entity", "another/path"),
)
_OTHER = {"jeex-api": "jeex-worker", "jeex-worker": "jeex-api"}


def attack(session: Session, evidence: Evidence) -> None:
    """Policies as they stand, then each role."""
    from service.services.vault_setup import PROCESSES

    with _setup(session) as setup:
        _policies(setup, evidence)
        for role in PROCESSES:
            with _as(session, setup, role) as client:
                _token(client, role, evidence)
                _read(client, role, evidence)
                _change(client, role, evidence)


@contextmanager
def _setup(session: Session) -> Iterator[Vault]:
    """Vault as `jeex up` sets it up: who may hand processes their way in."""
    from service.adapters.vault import Vault
    from service.core.settings import Secret
    from service.services.vault_setup import SETUP

    client = Vault(vaults.address(session))
    try:
        client.sign_in(SETUP, Secret(session.stack.host_environment("seed").get("VAULT_SECRET_ID", "")))
        try:
            yield client
        finally:
            client.sign_out()
    finally:
        client.close()


@contextmanager
def _as(session: Session, setup: Vault, role: str) -> Iterator[Vault]:
    """Vault as that process. Its token ends here."""
    from service.adapters.vault import Vault

    client = Vault(vaults.address(session))
    try:
        secret_id = client.open_handover(setup.hand_over(role, _HOLDS))
        client.sign_in(role, secret_id)
        try:
            yield client
        finally:
            client.sign_out()
    finally:
        client.close()


def _policies(setup: Vault, evidence: Evidence) -> None:
    from service.adapters.vault_system import VaultSystem
    from service.services.vault_setup import POLICIES, declared_policy

    system = VaultSystem(setup)
    for name in POLICIES:
        declared, live = declared_policy(name), system.policy(name) or ""
        lines = [
            line
            for line in difflib.unified_diff(declared.splitlines(), live.splitlines(), lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        evidence.judged(
            "vault",
            f"the policy {name} as it stands",
            holds=not lines,
            refusal="as this version declares it",
            hole=f"the policy {name} in Vault is not the declared one: {'; '.join(lines[:3])}",
            close=_CLOSE,
        )


def _token(client: Vault, role: str, evidence: Evidence) -> None:
    """What a process is once it is in: its own policy, and nothing beside it."""
    found = client.permitted(client.client.auth.token.lookup_self)["data"]
    policies = {*found["policies"], *(found.get("identity_policies") or ())}
    further = policies - {"default", role}
    evidence.judged(
        "vault",
        f"{role}: what its token may",
        holds=not further and not found.get("orphan_root", False),
        refusal=f"policies {', '.join(sorted(policies))}",
        hole=f"{role} is given further policies in Vault: {', '.join(sorted(further))}",
        close="jeex secrets seed gives the role its own policy alone",
    )


def _read(client: Vault, role: str, evidence: Evidence) -> None:
    other = f"auth/approle/role/{_OTHER[role]}"
    for path in (*_READS[role], other, f"{other}/secret-id?list=true", f"sys/policies/acl/{role}", *_EVERYBODY):
        said = f"{role}: read {path.replace('?list=true', ' (list)')}"
        status, errors = _get(client, path)
        if status == 403 and "permission denied" in errors:
            evidence.refused("vault", said, "403 permission denied")
        elif status in (200, 204, 404, 405):  # whether there is something is asked after whether one may
            evidence.hole("vault", said, f"in Vault, {role} may read {path.partition('?')[0]}", _CLOSE)
        else:
            evidence.untried("vault", said, f"Vault answers {status}: {errors}")


def _get(client: Vault, path: str) -> tuple[int, str]:
    """Status and words of Vault's answer, whatever it is."""
    from hvac.exceptions import VaultError

    def ask() -> Any:
        return client.client.adapter.request("GET", f"/v1/{path}", raise_exception=False)

    try:
        found = client.call(ask)
    except VaultError as error:
        return 0, type(error).__name__
    if isinstance(found, dict):
        return 200, ""
    return int(found.status_code), found.text[:200] if found.status_code >= 400 else ""


def _change(client: Vault, role: str, evidence: Evidence) -> None:
    paths = [*_NOT_CHANGED, f"auth/approle/role/{_OTHER[role]}/secret-id"]
    found = client.permitted(lambda: client.client.adapter.post("/v1/sys/capabilities-self", json={"paths": paths}))
    allowed = found.get("data", found)
    for path in paths:
        may = [one for one in allowed.get(path, ()) if one in _CHANGES]
        said = f"{role}: change {path}"
        if path not in allowed:
            evidence.untried("vault", said, "Vault does not say what the token may")
            continue
        evidence.judged(
            "vault",
            said,
            holds=not may,
            refusal=f"Vault says: {', '.join(allowed[path])}",
            hole=f"in Vault, {role} has {', '.join(may)} on {path}",
            close=_CLOSE,
        )
