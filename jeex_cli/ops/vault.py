"""The operator's way into Vault: whoever runs `jeex secrets`. The token lives in the client and ends with the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jeex_cli.errors import Unhealthy
from jeex_cli.ops import setting_rules
from jeex_cli.ops.failures import translated
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.secret_store import SecretStore
    from service.adapters.vault import Vault
    from service.core.settings import Settings

# `up` and `seed` make the operator's way in anew with what .env has.
_REFUSED = {"VAULT_REFUSED": "jeex secrets seed"}


def address(session: Session) -> str:
    """Where Vault is, as this machine reaches it."""
    return session.stack.host_environment("seed").get("VAULT_ADDR", "")


@contextmanager
def operator(session: Session, hints: Mapping[str, str] | None = None) -> Iterator[Vault]:
    """Vault, signed in to as the operator. The service's errors are translated, with `hints` as `translated` takes them.

    Raises Unhealthy at once where Vault is away or sealed: only in the midst of work it is waited for.
    """
    from service.core import correlation

    with translated({**_REFUSED, **(hints or {})}), correlation.bound(trace_id=session.trace_id):
        from service.adapters.vault import Vault
        from service.core.errors import VaultUnavailable
        from service.core.settings import Secret
        from service.services.vault_setup import OPERATOR

        secret = Secret(session.stack.host_environment("seed").get("VAULT_OPERATOR_SECRET", ""))
        vault = Vault(address(session))
        try:
            vault.version()  # without patience, unlike what follows
            vault.sign_in(OPERATOR, secret)
            away = False
            try:
                yield vault
            except (VaultUnavailable, Unhealthy) as error:
                away = error.code in (VaultUnavailable.UNREACHABLE, VaultUnavailable.SEALED)
                raise
            finally:
                if not away:  # else the token ends by itself: to end it would be to wait once more
                    with suppress(VaultUnavailable):
                        vault.sign_out()
        finally:
            vault.close()


@contextmanager
def secrets(session: Session, hints: Mapping[str, str] | None = None) -> Iterator[SecretStore]:
    """The secrets in Vault, as the operator reaches them."""
    with operator(session, hints) as vault:
        from service.adapters.vault_secrets import VaultSecrets

        yield VaultSecrets(vault)


def process_settings(session: Session, service: str, store: SecretStore) -> Settings:
    """The settings of a process as it reads them itself, those that stand in Vault among them. Raises SettingsError."""
    from service.core import settings

    return settings.load(session.stack.host_environment(service), vault=setting_rules.stored(store))
