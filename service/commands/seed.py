"""`python -m service seed`: make the secrets that are missing, then end."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from service.adapters.vault import Vault
from service.core import logs, settings
from service.core.errors import VaultUnavailable
from service.services import secrets

START_PATIENCE = 30.0  # seconds that Vault may take to start


def run(environ: Mapping[str, str]) -> int:
    """0 when every secret exists, 1 when Vault did not let us make them. Raises SettingsError."""
    found = settings.load(environ, required=("VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_SECRET_ID"))
    logs.configure(found.log_level, "seed")
    log = structlog.get_logger()
    store = Vault(found.vault_addr, patience=START_PATIENCE)
    try:
        store.sign_in(found.vault_role_id, found.vault_secret_id)
        for one in secrets.seed(store):
            log.info("seed.created" if one.created else "seed.kept", name=one.name)
    except VaultUnavailable as error:
        log.error("seed.failed", code=error.code, reason=error.message, hint=error.hint)
        return 1
    finally:
        store.close()
    log.info("seed.done")
    return 0
