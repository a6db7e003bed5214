"""The state that this version of the platform needs a Vault to be in: engines, policies, roles, logins, audit log.

`ensure` brings any Vault there that has the way in which server.hcl (OpenBao) or `begin` (HashiCorp's Vault) has made; it
may be run again and again, by two at once too. Nothing here reads or writes a secret: services/secrets.py does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_session import HANDOVER_TTL
from service.adapters.vault_system import VaultSystem
from service.core import correlation
from service.core.settings import Secret

SETUP, OPERATOR = "jeex-setup", "jeex-operator"
API, WORKER = "jeex-api", "jeex-worker"
PROCESSES = (API, WORKER)  # those that something is handed over to
POLICIES = (OPERATOR, *PROCESSES)
_ENGINES = (("secret", "kv", "2"), ("transit", "transit", None), ("database", "database", None))
# A process's token holds for an hour and is renewed for as long as the process lives.
_PROCESS = {"token_period": "1h", "secret_id_num_uses": 1, "secret_id_ttl": HANDOVER_TTL}
# What a Vault that was set up before audit logs showed our ids lacks in the policy of SETUP, which may write its own.
_MAY_SHOW_HEADERS = """
path "sys/config/auditing/request-headers"   { capabilities = ["read", "sudo"] }
path "sys/config/auditing/request-headers/*" { capabilities = ["create", "read", "update", "sudo"] }
"""
_PERSON = {"token_ttl": "10m", "token_max_ttl": "1h", "secret_id_ttl": "0"}


@dataclass(frozen=True, slots=True)
class LoginKind:
    """A kind of login of PostgreSQL's: the role it is a member of, and the seconds that a statement of it may take."""

    name: str
    member_of: str
    statement_timeout: int


LOGINS = (LoginKind("app", "jeex_app", 30), LoginKind("admin", "jeex_admin", 60))  # the limits of bootstrap.sql


def declared_policy(name: str) -> str:
    """The text of a policy as this version has it."""
    return (Path(__file__).parent / "policies" / f"{name}.hcl").read_text(encoding="utf-8")


def begin(system: VaultSystem, setup_policy: str, setup_secret: Secret) -> None:
    """With a root token: make the one way in that `ensure` needs. OpenBao's server.hcl does the same by itself."""
    system.enable_audit("stdout")
    system.enable_approle()
    system.write_policy(SETUP, setup_policy)
    system.write_role(SETUP, token_policies=[SETUP], **_PERSON)
    system.set_secret_id(SETUP, setup_secret)


def ensure(system: VaultSystem) -> list[str]:
    """Signed in as SETUP: make what is missing, and anew what another version had otherwise. What was changed, in words."""
    changed = []
    there = system.engines()
    for path, kind, version in _ENGINES:
        if path not in there:
            system.mount(path, kind, version=version)
            changed.append(f"engine {path}")
    for name in POLICIES:
        text = declared_policy(name)
        if system.policy(name) != text:
            system.write_policy(name, text)
            changed.append(f"policy {name}")
    system.write_role(OPERATOR, token_policies=[OPERATOR], **_PERSON)
    for name in PROCESSES:
        system.write_role(name, token_policies=[name], **_PROCESS)
    if not system.audited():
        system.enable_audit("stdout")
        changed.append("audit log")
    if _show_ids(system):
        changed.append("audit log's headers")
    return changed


def _show_ids(system: VaultSystem) -> bool:
    """Have the audit log show which request or job each entry is of; whether it did not yet."""
    own = system.policy(SETUP) or ""
    if "request-headers" not in own:
        system.write_policy(SETUP, own + _MAY_SHOW_HEADERS)
    missing = {name.lower() for name in correlation.HEADERS} - system.shown_headers()
    for name in sorted(missing):
        system.show_header(name)
    return bool(missing)


def ensure_logins(logins: VaultLogins, url: Secret, *, holds: int) -> None:
    """Have logins of PostgreSQL's made as the user of `url`, each for `holds` seconds. Raises VaultUnavailable.

    Once `rotate_root` was called, nobody but Vault knows the password: the one that it has comes first. Where that was set
    anew meanwhile (bootstrap.sql does), the one in `url` is right.
    """
    names = [one.name for one in LOGINS]
    if not (logins.is_configured() and logins.moved(url, names)):
        logins.configure(url, names)
    for one in LOGINS:
        logins.define(one.name, member_of=one.member_of, statement_timeout=one.statement_timeout, holds=holds)
