"""Opening a Vault that does not open itself: HashiCorp's, where JEEX_VAULT_IMAGE names it.

Such a Vault is initialised once, and opened with its unseal keys (Shamir's shares) after each of its starts. jeex keeps the
keys in `.jeex/vault-keys.json`, mode 0600. Vault says them once: they are on the disk before anything else is done, and
the root token stands next to them until the way in for the seed process is made; then it is revoked and taken out. Killed
anywhere, the next run goes on. What no run can mend is a kill between Vault's initialising itself and its answer: the file
says that it was begun, and the error how to empty a storage in which nothing can be yet (unfinished.sql).
"""

from __future__ import annotations

import json
import os
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeex_cli import state
from jeex_cli.errors import JeexError
from jeex_cli.ops.failures import translated
from jeex_cli.project import bundled, not_writable, write_private
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.vault import Vault
    from service.adapters.vault_system import VaultSystem
    from service.core.settings import Secret

SHARES, THRESHOLD = 5, 3
_VERSION = 1
_PATIENCE = 5.0  # seconds that Vault may take to answer
_LOOK = 0.3  # seconds between two looks at a Vault that is starting
_AGAIN = "jeex secrets unseal"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds. No keys: to initialise was begun. A root token: the way in is not made yet."""

    keys: tuple[Secret, ...] = field(default=(), repr=False)
    root_token: Secret | None = field(default=None, repr=False)


def keys_file(session: Session) -> Path:
    """Where the unseal keys are kept, mode 0600."""
    return session.project.folder / "vault-keys.json"


def unseal(session: Session) -> dict[str, object]:
    """Have the stack's Vault open and set up; initialise it where it never was.

    `changed` says whether anything had to be done, `initialised` whether this call initialised it, `detail` what was done,
    in words. Raises Unhealthy (VAULT_UNREACHABLE) where it is away, JeexError (VAULT_KEYS_MISSING, VAULT_KEYS_WRONG) where
    what is kept does not open it; nothing was changed then.
    """
    seed = session.stack.host_environment("seed")
    with (
        state.locked(session.project, timeout=session.timeout, waiting=session.output.note),
        translated({"VAULT_UNREACHABLE": f"start it (docker compose up -d postgres vault, or jeex up), then: {_AGAIN}"}),
    ):
        return _unseal(keys_file(session), seed["VAULT_ADDR"], seed["VAULT_SECRET_ID"])


@contextmanager
def opening(session: Session) -> Iterator[None]:
    """While the stack starts: have its Vault open as soon as it answers, for everything else waits for that.

    Nothing to do for a Vault that opens itself. What is wrong with the keys is raised in place of what comes of it.
    """
    vault = next((one for one in session.stack.services if one.name == "vault"), None)
    if vault is None or "bao" in vault.environment.get("IMAGE", "bao"):
        yield
        return
    from service.core.errors import VaultUnavailable

    seed = session.stack.host_environment("seed")
    over, failures = threading.Event(), list[JeexError]()

    def work() -> None:
        while not over.wait(_LOOK):
            try:
                _unseal(keys_file(session), seed["VAULT_ADDR"], seed["VAULT_SECRET_ID"], patience=_LOOK)
            except VaultUnavailable:
                continue
            except JeexError as error:
                failures.append(error)
                return
            return

    thread = threading.Thread(target=work, name="jeex-unseal", daemon=True)
    thread.start()
    try:
        yield
    except JeexError as error:
        if failures:
            raise failures[0] from error
        raise
    finally:
        over.set()
        thread.join()


def _unseal(file: Path, address: str, setup_secret: str, *, patience: float = _PATIENCE) -> dict[str, object]:
    from service.adapters.vault import Vault
    from service.adapters.vault_system import VaultSystem
    from service.core.settings import Secret

    vault = Vault(address, patience=patience)
    try:
        system = VaultSystem(vault)
        found = system.seal()
        if found.opens_itself:
            return _done(what="it opens itself" if found.initialised else "it sets itself up and opens itself")
        kept = _read(file)
        did = []
        if not found.initialised:
            kept = _initialise(address, file, kept)
            did.append(f"initialised: its unseal keys are in {file}, and nowhere else")
        if system.seal().sealed:
            _open(system, file, kept)
            did.append("unsealed")
        if kept is not None and kept.root_token is not None:
            _set_up(vault, kept.root_token, Secret(setup_secret), file)
            _keep(file, Kept(kept.keys))
            did.append("set up, its root token revoked")
        return _done(*did, initialised=not found.initialised, what="it is open")
    finally:
        vault.close()


def _done(*did: str, initialised: bool = False, what: str = "") -> dict[str, object]:
    return {"changed": bool(did), "initialised": initialised, "detail": "; ".join(did) or what}


def _initialise(address: str, file: Path, kept: Kept | None) -> Kept:
    from service.adapters.vault import Vault
    from service.adapters.vault_system import VaultSystem

    if kept is not None and kept.keys:  # of another Vault, whose storage may be put back one day
        file.replace(file.with_name(f"{file.stem}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"))
    _keep(file, Kept())
    vault = Vault(address, timeout=60, patience=0)  # a slow machine must not make us ask twice: the keys are said once
    try:
        made = VaultSystem(vault).initialise(shares=SHARES, threshold=THRESHOLD)
    finally:
        vault.close()
    new = Kept(made.keys, made.root_token)
    _keep(file, new)
    return new


def _open(system: VaultSystem, file: Path, kept: Kept | None) -> None:
    if kept is None:
        raise JeexError(
            "Vault is sealed, and the keys that open it are not here",
            code="VAULT_KEYS_MISSING",
            detail=f"It was initialised from another folder, or {file} was moved. Nothing was changed.",
            hint=f"put the file back, mode 0600, then: {_AGAIN}",
        )
    if not kept.keys:
        script = bundled("templates") / "vault" / "unfinished.sql"
        raise JeexError(
            "Vault is sealed, and nobody has the keys that open it",
            code="VAULT_KEYS_MISSING",
            detail="jeex was interrupted at the moment when Vault was initialised. Nothing can be stored in it yet, so it "
            "can begin anew; the script below refuses where something is. Nothing was changed.",
            hint="docker compose exec -T postgres psql -U postgres -d jeex_vault -f - "
            f"< {shlex.quote(str(script))} && docker compose restart vault && {_AGAIN}",
        )
    if not system.unseal(kept.keys):
        raise JeexError(
            "Vault is sealed, and the keys that are kept here do not open it",
            code="VAULT_KEYS_WRONG",
            detail=f"{file} holds {len(kept.keys)} keys; Vault asks for {system.seal().threshold} of its own. "
            "They are another Vault's, or some are gone. Nothing was changed.",
            hint=f"put back the file that belongs to this Vault's storage, then: {_AGAIN}",
        )


def _set_up(vault: Vault, root_token: Secret, setup_secret: Secret, file: Path) -> None:
    """Make the way in for the seed process, then revoke the root token. May be cut off anywhere and done again."""
    from service.adapters.vault_system import VaultSystem
    from service.services import vault_setup

    vault.client.token = root_token.reveal()
    if vault.is_signed_in():
        policy = (bundled("templates") / "openbao" / "setup-policy.hcl").read_text(encoding="utf-8")
        vault_setup.begin(VaultSystem(vault), policy, setup_secret)
        vault.sign_out()
        return
    vault.client.token = ""
    if not _lets_in(vault, setup_secret):  # otherwise we were cut off right after the token was revoked
        raise JeexError(
            "Vault is open, but was never set up, and its root token is no longer good",
            code="VAULT_SETUP_LOST",
            detail=f"Somebody revoked the token that {file} holds before jeex was done with it.",
            hint="make another with the unseal keys (vault operator generate-root), write it there as root_token, then: "
            + _AGAIN,
        )


def _lets_in(vault: Vault, setup_secret: Secret) -> bool:
    from service.core.errors import VaultUnavailable
    from service.services.vault_setup import SETUP

    try:
        vault.sign_in(SETUP, setup_secret)
    except VaultUnavailable as error:
        if error.code not in (VaultUnavailable.REFUSED, "VAULT_UNFINISHED"):
            raise
        return False
    vault.sign_out()
    return True


def _read(file: Path) -> Kept | None:
    from service.core.settings import Secret

    try:
        text = file.read_text(encoding="utf-8")
        file.chmod(0o600)  # it may have come back from a copy
        document: Any = json.loads(text)
        if document["version"] != _VERSION or not all(isinstance(key, str) for key in document["keys"]):
            raise ValueError("another version")
        token = document.get("root_token")
        return Kept(tuple(Secret(key) for key in document["keys"]), Secret(str(token)) if token else None)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = str(error.strerror)
    except (ValueError, KeyError, TypeError):  # its text could hold a key, so the cause is not chained
        why = "it is not what jeex wrote there"
    raise JeexError(
        f"the unseal keys in {file} cannot be read: {why}",
        code="VAULT_KEYS_WRONG",
        detail="Nothing was changed.",
        hint=f"put back the file that belongs to this Vault's storage, then: {_AGAIN}",
    )


def _keep(file: Path, kept: Kept) -> None:
    """Have it on the disk, whatever happens next: the file, and that there is such a file."""
    document: dict[str, object] = {"version": _VERSION, "keys": [key.reveal() for key in kept.keys]}
    if kept.root_token is not None:
        document["root_token"] = kept.root_token.reveal()
    write_private(file, json.dumps(document, indent=2) + "\n", durable=True)
    for folder in (file.parent, file.parent.parent):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise not_writable(folder, error) from error
