"""What Vault has to be like: brought there, and compared with."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from jeex_cli import state
from jeex_cli.errors import NotReady, UsageError
from jeex_cli.ops import vault
from jeex_cli.ops.failures import translated
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.runtimes.programs.python import Python
from jeex_cli.session import Session

_PREFIX = "jeex-"
_PATIENCE = 10.0  # seconds that Vault may take to answer once it has


@dataclass(frozen=True, slots=True)
class Seeded:
    """One thing that was looked after: set_up, created, handed_over, or kept for it was there already."""

    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as this version of jeex has it, and as Vault has it: None where it has none."""

    name: str
    declared: str
    in_vault: str | None
    same: bool
    difference: str


def seed(session: Session) -> list[Seeded]:
    """What the seed process of `up` does: whatever is missing is made, nothing is overwritten.

    Processes are handed over their way into Vault where they run below this project's folder. Raises Unhealthy, NotReady.
    """
    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note), translated():
        session = session.anew()
        from service.adapters.vault import Vault
        from service.commands import seed as process
        from service.core import settings

        place = Place(session.project, session.stack, session.settings, session.environ)
        environment = Python().settings(session.stack.service("seed"), place)
        if session.runtime.name == "compose":  # Vault itself goes there, and it is in a container
            environment["DATABASE_LOGINS_URL"] = session.stack.service("seed").environment["DATABASE_LOGINS_URL"]
        if not _runs_here(session):
            environment.pop("HANDOVER_FOLDER", None)
        found = settings.load(environment, required=process.REQUIRED)
        asked = Vault(found.vault_addr)
        try:
            asked.version()  # at once, where nothing listens or it is sealed
        finally:
            asked.close()
        try:
            return [Seeded(done.name, done.outcome) for done in process.steps(found, patience=_PATIENCE)]
        except OSError as error:
            raise NotReady(
                f"cannot hand over in {found.handover_folder}: {error.strerror}",
                code="HANDOVER_FOLDER",
                hint=f"look at it: ls -la '{found.handover_folder}'",
            ) from error


def policies(session: Session, name: str | None = None) -> list[Policy]:
    """That policy, with or without the `jeex-` of its name, or all of them. Raises UsageError, Unhealthy."""
    from service.services.vault_setup import POLICIES, declared_policy

    names = [one for one in POLICIES if name is None or one.removeprefix(_PREFIX) == name.removeprefix(_PREFIX)]
    if not names:
        raise UsageError(
            f"there is no policy {name}",
            code="POLICY_UNKNOWN",
            hint=f"one of {', '.join(one.removeprefix(_PREFIX) for one in POLICIES)}",
        )
    with vault.operator(session) as client:
        from service.adapters.vault_system import VaultSystem

        system = VaultSystem(client)
        return [_compared(one, declared_policy(one), system.policy(one)) for one in names]


def _compared(name: str, declared: str, in_vault: str | None) -> Policy:
    difference = difflib.unified_diff(
        (in_vault or "").splitlines(), declared.splitlines(), "in Vault", "declared", lineterm="", n=1
    )
    return Policy(name, declared, in_vault, declared == in_vault, "\n".join(difference) if declared != in_vault else "")


def _runs_here(session: Session) -> bool:
    """Whether the processes that something could be handed over to are those of this folder."""
    if session.runtime.name != "embedded":
        return False
    return any(one.name == "vault" and one.pid is not None for one in session.runtime.states(session.stack))
