"""Rotating secrets, and how old they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from jeex_cli.errors import JeexError, PartialFailure, TimedOut
from jeex_cli.ops import secret_rules as rules
from jeex_cli.ops import secrets, vault
from jeex_cli.ops.failures import translated
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.vault import Vault
    from service.adapters.vault_logins import VaultLogins
    from service.core.settings import Settings

_MARGIN = 5.0  # seconds that a process may take longer than its settings say
_LOOK = 0.25  # seconds between two looks at the logins that are left


@dataclass(frozen=True, slots=True)
class Rotated:
    """One kind that was rotated. Of jwt: `signs_in` seconds the new key signs. Of database: the logins that their
    processes replaced, and those that were revoked because nobody gave them back."""

    kind: str
    version: int
    signs_in: float | None = None
    replaced: int | None = None
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class Aged:
    """A secret that may become too old. `by` is who rotates it, `worker` or `you`; times are in seconds, None for no limit.

    `due_in` is below 0 where it is overdue.
    """

    name: str
    by: str
    version: int
    since: datetime
    age: float
    most: float | None
    due_in: float | None
    due: bool


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """Vault as the operator sees it. `logins` are those that hold at the moment, by what they may do."""

    address: str
    version: str
    sealed: bool
    secrets: list[Aged]
    logins: dict[str, int]


def kinds() -> tuple[str, ...]:
    """What can be rotated."""
    from service.services import rotation

    return rotation.KINDS


def rotate(session: Session, wanted: list[str]) -> list[Rotated]:
    """Rotate `wanted`, one kind after the other.

    Raises Unhealthy; TimedOut when processes do not give their logins back; PartialFailure when some kinds were rotated and
    then one could not be.
    """
    done: list[Rotated] = []
    hints = {"SECRET_CHANGED": "jeex secrets status"}  # somebody else has rotated it at this moment
    with vault.operator(session, hints) as client:
        for kind in wanted:
            try:
                with translated(hints):
                    done.append(_rotate(session, client, kind))
            except JeexError as error:
                if not done:
                    raise
                raise PartialFailure(
                    f"{', '.join(one.kind for one in done)} rotated, but not all of {kind}: {error.message}",
                    code=error.code,
                    detail=error.detail,
                    hint=error.hint,
                    data=done,
                ) from error
    return done


def status(session: Session) -> VaultStatus:
    """Where Vault is, how old what can be rotated is, and when it is due. Raises Unhealthy where it is sealed or away."""
    with vault.operator(session) as client:
        from service.adapters.vault_keys import VaultKeys
        from service.adapters.vault_logins import VaultLogins
        from service.adapters.vault_secrets import VaultSecrets
        from service.services.rotation import Rotation

        store, logins = VaultSecrets(client), VaultLogins(client)
        found = vault.process_settings(session, "worker", store)
        ages = Rotation(store, VaultKeys(client), logins).ages(found.rotate_after)
        aged = [_aged(one.kind, "worker", version=one.version, since=one.since, age=one.age, most=one.most) for one in ages]
        for entry in secrets.entries(store):
            limit = rules.parsed_age(entry.max_age)
            if limit is not None and not entry.managed and not entry.deleted:
                most = limit.total_seconds()
                aged.append(
                    _aged(entry.path, "you", version=entry.version, since=entry.created_at, age=entry.age, most=most)
                )
        held = {name: len(leases) for name, leases in _leases(logins).items()}
        return VaultStatus(vault.address(session), client.version(), False, aged, held)


def _rotate(session: Session, client: Vault, kind: str) -> Rotated:
    from service.adapters.vault_keys import VaultKeys
    from service.adapters.vault_logins import VaultLogins
    from service.adapters.vault_secrets import VaultSecrets
    from service.services import rotation

    store, logins = VaultSecrets(client), VaultLogins(client)
    found = vault.process_settings(session, "api", store)
    rotating = rotation.Rotation(store, VaultKeys(client), logins, announced=found.jwt_announced)
    if kind == rotation.JWT:
        return Rotated(kind, rotating.rotate(kind), signs_in=found.jwt_announced)
    if kind == rotation.API_PEPPER:
        return Rotated(kind, rotating.rotate(kind))
    before = set[str]().union(*_leases(logins).values())
    rotated = Rotated(kind, rotating.rotate(kind), replaced=0, revoked=0)
    return _turned_over(session, logins, before, found, rotated)


def _turned_over(session: Session, logins: VaultLogins, before: set[str], found: Settings, rotated: Rotated) -> Rotated:
    """Once no login of `before` is left: processes take new ones, those of processes that are gone are revoked.

    Who is alive looks every `vault_poll` seconds, and then lets what is under way end: that may take a statement's time.
    """
    deadline = time.monotonic() + session.timeout
    patience = found.vault_poll + found.database_statement_timeout + _MARGIN
    abandoned = time.monotonic() + patience
    left = set(before)
    if left:
        session.output.note(f"{_count(len(left))} to be replaced; processes look every {found.vault_poll:g} s")
    while left:
        there = left & set[str]().union(*_leases(logins).values())
        if there != left:
            abandoned = time.monotonic() + patience
            left = there
            continue
        if time.monotonic() > abandoned:
            break
        if time.monotonic() > deadline:
            raise TimedOut(
                f"the password is rotated, but {_count(len(left))} of before hold after {session.timeout:g} s",
                detail="They end by themselves within the hour.",
                hint="jeex secrets rotate database --timeout 300",
                data=replace(rotated, replaced=len(before) - len(left)),
            )
        time.sleep(_LOOK)
    for lease in left:
        logins.revoke(lease)
    return replace(rotated, replaced=len(before) - len(left), revoked=len(left))


def _leases(logins: VaultLogins) -> dict[str, set[str]]:
    from service.services.vault_setup import LOGINS

    return {one.name: logins.leases(one.name) for one in LOGINS}


def _aged(name: str, by: str, *, version: int, since: datetime, age: float, most: float | None) -> Aged:
    due_in = None if most is None else most - age
    return Aged(name, by, version, since, age, most, due_in, due_in is not None and due_in < 0)


def _count(logins: int) -> str:
    return "1 login" if logins == 1 else f"{logins} logins"
