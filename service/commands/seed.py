"""`python -m service seed`: bring Vault to the state that the platform needs, make the secrets that are missing, hand over
to the other processes what they sign in with; then end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.adapters.vault import Vault
from service.adapters.vault_keys import VaultKeys
from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_secrets import VaultSecrets
from service.adapters.vault_session import HANDOVER_TTL, write_handover
from service.adapters.vault_system import VaultSystem
from service.commands.entrance import START_PATIENCE
from service.core import logs, settings
from service.core.errors import VaultUnavailable
from service.core.settings import Secret, Settings
from service.services import secrets, vault_setup

HANDED_OVER = "wrapped"  # the file in a process's folder
REQUIRED = ("VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_SECRET_ID")


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was looked after. `outcome` is set_up, created or handed_over, or kept where it was there already."""

    outcome: str
    name: str


def run(environ: Mapping[str, str]) -> int:
    """0 when everything is there, 1 when it could not be made. Raises SettingsError."""
    found = settings.load(environ, required=REQUIRED)
    logs.configure(found.log_level, "seed")
    log = structlog.get_logger()
    try:
        for done in steps(found):
            log.info(f"seed.{done.outcome}", **{"what" if done.outcome == "set_up" else "name": done.name})
    except VaultUnavailable as error:
        log.error("seed.failed", code=error.code, reason=error.message, hint=error.hint)
        return 1
    except OSError as error:
        log.error("seed.failed", code="HANDOVER_FOLDER", reason=f"{found.handover_folder}: {error.strerror}")
        return 1
    log.info("seed.done")
    return 0


def steps(found: Settings, *, patience: float = START_PATIENCE) -> Iterator[Done]:
    """Everything that the platform needs of Vault, one thing after the other; what is there already is kept.

    `patience` is how many seconds Vault may take to answer. Raises VaultUnavailable, OSError of the folder to hand over in.
    """
    vault = Vault(found.vault_addr, patience=patience)
    try:
        vault.sign_in(found.vault_role_id, found.vault_secret_id)
        yield from _set_up(vault, found)
        for one in secrets.seed(VaultSecrets(vault), VaultKeys(vault)):
            yield Done("created" if one.created else "kept", one.name)
        if found.handover_folder:
            yield from _hand_over(vault, Path(found.handover_folder))
        vault.sign_out()
    finally:
        vault.close()


def _set_up(vault: Vault, found: Settings) -> Iterator[Done]:
    system = VaultSystem(vault)
    for what in vault_setup.ensure(system):
        yield Done("set_up", what)
    if found.vault_operator_secret and not _lets_in(found.vault_addr, found.vault_operator_secret):
        system.set_secret_id(vault_setup.OPERATOR, found.vault_operator_secret)
        yield Done("set_up", "operator")
    if found.database_logins_url:
        vault_setup.ensure_logins(VaultLogins(vault), found.database_logins_url, holds=found.database_login_seconds)


def _lets_in(address: str, operator_secret: Secret) -> bool:
    vault = Vault(address)
    try:
        vault.sign_in(vault_setup.OPERATOR, operator_secret)
        vault.sign_out()
    except VaultUnavailable as error:
        if error.code != VaultUnavailable.REFUSED:
            raise
        return False
    finally:
        vault.close()
    return True


def _hand_over(vault: Vault, folder: Path) -> Iterator[Done]:
    """Give each process its way in, unless what it was given can still be used: it may be using it at this moment."""
    for role in vault_setup.PROCESSES:
        file = folder / role / HANDED_OVER
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = file.exists() and vault.can_open(Secret(file.read_text(encoding="ascii", errors="replace").strip()))
        if not kept:
            write_handover(file, vault.hand_over(role, HANDOVER_TTL))
        yield Done("kept" if kept else "handed_over", role)
