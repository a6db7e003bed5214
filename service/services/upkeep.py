"""What a process does for as long as it runs, so that nothing of it ends unnoticed: its token of Vault's, its logins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from service.adapters.database import Database
from service.adapters.logins import Login, Logins
from service.adapters.vault_session import VaultSession
from service.core.errors import VaultUnavailable
from service.services.secrets import DATABASE

if TYPE_CHECKING:
    from service.adapters.vault import Vault


def vault_logins(session: VaultSession, name: str) -> Logins:
    """Logins of that name, made by Vault for this process."""

    async def revoke(login: Login) -> None:
        await session.run(lambda vault: _revoke(vault, login))

    return Logins(lambda: session.run(lambda vault: _issue(vault, name)), revoke)


async def keep(session: VaultSession, databases: Sequence[Database], *, poll: float) -> None:
    """Renew the token, and turn logins over that are old or of an earlier turn; every `poll` seconds, until cancelled."""
    log = structlog.get_logger()
    away = False

    def answered() -> None:
        nonlocal away
        if away:
            log.info("vault.back")
        away = False

    while True:
        await asyncio.sleep(poll)
        try:
            await session.keep()
            await _turn_over(session, [one for one in databases if one.login is not None], answered)
        except VaultUnavailable as error:
            if not away:
                log.warning("vault.away", code=error.code, reason=error.message)
            away = True
        except Exception:
            log.exception("upkeep.crashed")  # a mistake of ours must not end it: logins would end one after the other
        else:
            answered()


async def _turn_over(session: VaultSession, databases: Sequence[Database], answered: Callable[[], None]) -> None:
    if not databases:
        return
    turn = await session.run(_turn)
    stale = [one for one in databases if one.login is not None and (one.login.is_old or one.login.turn < turn)]
    for database in stale:
        await database.turn_over(answered)
        structlog.get_logger().info("database.login_turned_over", turn=turn)


def _issue(vault: Vault, name: str) -> Login:
    from service.adapters.vault_logins import VaultLogins

    turn = _turn(vault)  # first: a login that is made while the turn ends must count as one of the old
    return replace(VaultLogins(vault).issue(name), turn=turn)


def _turn(vault: Vault) -> int:
    from service.adapters.vault_secrets import VaultSecrets

    found = VaultSecrets(vault).get(DATABASE)
    return found.version if found else 0


def _revoke(vault: Vault, login: Login) -> None:
    from service.adapters.vault_logins import VaultLogins

    VaultLogins(vault).revoke(login.lease_id)
