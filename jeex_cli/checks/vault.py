"""Vault: open, ours to use, and leases that are renewed in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, warn
from jeex_cli.checks.repairs import OpenVault, RestartServices, StartStack
from jeex_cli.errors import JeexError

_GROUP = "vault"
_LITTLE_APART, _FAR_APART = 5.0, 60.0  # seconds between two clocks
_QUARTER = 0.25  # of a lease; it is renewed when half is over


@dataclass(frozen=True, slots=True)
class Health:
    """What Vault says to anybody. `apart` is how far its clock is ahead of this machine's, in seconds.

    `opens_itself`: it has a key file (OpenBao); HashiCorp's is opened with the keys that jeex keeps.
    """

    initialised: bool
    sealed: bool
    apart: float
    opens_itself: bool


@dataclass(frozen=True, slots=True)
class Access:
    """`refusal`: the operator could not sign in. `missing` are secrets that the service needs and that are not there."""

    refusal: JeexError | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """What was handed over to a process to sign in with when it starts next; it is good for one use."""

    role: str
    file: Path
    state: Literal["good", "used", "missing"]


@dataclass(frozen=True, slots=True)
class Handovers:
    """One for each process."""

    handovers: tuple[Handover, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """What the API holds of Vault's: what it is, seconds left, and seconds that it held at first."""

    what: str
    left: float
    held: float


@dataclass(frozen=True, slots=True)
class Leases:
    """All of the API's."""

    leases: tuple[Lease, ...]


def vault_initialised(facts: Health) -> Verdict:
    if facts.initialised:
        return ok("Vault was set up")
    repair = RestartServices(("vault",)) if facts.opens_itself else OpenVault()
    return fail("Vault was never set up: it has neither keys nor secrets", fix=repair.text, repair=repair)


def vault_sealed(facts: Health) -> Verdict:
    if not facts.sealed:
        return ok("Vault is open")
    repair = RestartServices(("vault",)) if facts.opens_itself else OpenVault()
    return fail("Vault is sealed: it has its secrets, and gives none", fix=repair.text, repair=repair, code="VAULT_SEALED")


def vault_clock(facts: Health) -> Verdict:
    apart = abs(facts.apart)
    if apart <= _LITTLE_APART:
        return ok(f"the clocks of Vault and of this machine are {apart:.0f} s apart")
    said = f"Vault's clock is {apart:.0f} s {'ahead of' if facts.apart > 0 else 'behind'} this machine's"
    how = "set the clock (timedatectl set-ntp true; Docker Desktop: restart it)"
    if apart > _FAR_APART:
        return fail(f"{said}: tokens are refused, or good for too long", fix=how)
    return warn(said, fix=how)


def vault_access(facts: Access) -> Verdict:
    if facts.refusal is not None:
        return refused(facts.refusal)
    return ok("the operator may sign in with what .env has")


def vault_secrets(facts: Access) -> Verdict:
    if facts.refusal is not None:
        return Verdict("unknown", f"not looked at: {facts.refusal.message}", fix=facts.refusal.hint)
    if facts.missing:
        first = facts.missing[0].removeprefix("jeex/")
        again = "" if first.startswith("transit/") else f"; where it was deleted: jeex secrets rotate {first}"
        return fail(
            f"Vault lacks what the service works with: {', '.join(facts.missing)}",
            fix=f"jeex secrets seed, if it never was there{again}",
        )
    return ok("every secret of the service is there")


def vault_handover(facts: Handovers) -> Verdict:
    repair = StartStack()
    used = [one for one in facts.handovers if one.state == "used"]
    missing = [one for one in facts.handovers if one.state == "missing"]
    evidence = [f"{one.role}: {one.state} ({one.file})" for one in facts.handovers]
    if used:
        return fail(
            f"what {used[0].role} signs in to Vault with was used by somebody else, or is too old: it cannot start again",
            evidence,
            fix=f"{repair.text} hands over a new one; if it was not you who used it, look into Vault's audit log "
            "(jeex logs vault)",
            repair=repair,
            code="VAULT_HANDOVER_USED",
        )
    if missing:
        said = f"nothing is there for {missing[0].role} to sign in to Vault with: it cannot start again"
        return warn(said, evidence, fix=f"{repair.text} hands over a new one", repair=repair)
    return ok("every process can sign in to Vault when it starts again")


def vault_leases(facts: Leases) -> Verdict:
    repair = RestartServices(("api",), up_first=True)  # which hands over anew what it signs in with
    ended = [one for one in facts.leases if one.left <= 0]
    late = [one for one in facts.leases if one.left < one.held * _QUARTER]
    evidence = [f"{one.what}: {max(0.0, one.left):.0f} of {one.held:.0f} s left" for one in facts.leases]
    if ended:
        return fail(f"the API's {ended[0].what} has ended and was not renewed", evidence, fix=repair.text, repair=repair)
    if late:
        return warn(
            f"the API's {late[0].what} ends in {late[0].left:.0f} s, and is not renewed",
            evidence,
            fix=repair.text,
            repair=repair,
        )
    return ok("what the API holds of Vault's is renewed in time", evidence)


CHECKS = (
    Check(
        "vault-initialised",
        _GROUP,
        "Vault was set up",
        "An empty Vault has neither keys nor secrets. OpenBao sets itself up when it starts; HashiCorp's is set "
        "up by `jeex secrets unseal`.",
        Health,
        vault_initialised,
        ("vault", "seed", "api", "worker"),
    ),
    Check(
        "vault-sealed",
        _GROUP,
        "Vault is open",
        "A sealed Vault answers, and gives nothing. OpenBao opens itself when it starts; HashiCorp's is opened "
        "with the keys in .jeex/vault-keys.json.",
        Health,
        vault_sealed,
        ("vault", "seed", "api", "worker"),
    ),
    Check(
        "vault-clock",
        _GROUP,
        "Vault's clock is this machine's",
        "Tokens and leases are good for a time. Where clocks differ by more than seconds they end too early or too late.",
        Health,
        vault_clock,
    ),
    Check(
        "vault-access",
        _GROUP,
        "the operator may sign in",
        "`jeex secrets` signs in with JEEX_VAULT_OPERATOR_SECRET. Where .env has another one than Vault knows, "
        "seeding gives Vault that of .env.",
        Access,
        vault_access,
    ),
    Check(
        "vault-secrets",
        _GROUP,
        "every secret of the service is there",
        "Without the pepper nobody signs in with a password, without the signing key there are no tokens.",
        Access,
        vault_secrets,
        ("api",),
    ),
    Check(
        "vault-handover",
        _GROUP,
        "every process can sign in to Vault",
        "API and worker sign in with a file that is good for one use, and leave the next. One that somebody else "
        "has used locks the process out when it starts next, and may mean that it was copied.",
        Handovers,
        vault_handover,
        ("api", "worker"),
        runtime="embedded",
    ),
    Check(
        "vault-leases",
        _GROUP,
        "tokens and logins are renewed in time",
        "The API holds a token of Vault's and a login of PostgreSQL's, both for a time, and renews them when half "
        "of it is over. One with less than a quarter left is not being renewed.",
        Leases,
        vault_leases,
        ("api",),
    ),
)
