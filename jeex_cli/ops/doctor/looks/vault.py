"""Looks at the running Vault, and at what the API holds of it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli import loopback
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.vault import Access, Handover, Handovers, Health, Lease, Leases
from jeex_cli.errors import JeexError
from jeex_cli.ops.doctor.looks.services import running
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.runtimes.programs.python import Python
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.vault import Vault

_PATIENCE = 2.0  # seconds
_TRIES, _PAUSE = 3, 0.1  # seconds between two looks at what was handed over
# Whatever its state, the answer is 200 and says it.
_HEALTH = "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200&standbycode=200"


def look(session: Session) -> Health:
    """What it says to anybody."""
    service = running(session, "vault")
    try:
        before = time.time()
        answer = loopback.get(f"http://127.0.0.1:{service.host_port}{_HEALTH}", timeout=_PATIENCE)
        now = (before + time.time()) / 2
        found = json.loads(answer.body)
        theirs = float(found["server_time_utc"])
        # It tells whole seconds; half a second more is the best guess.
        return Health(
            bool(found["initialized"]),
            bool(found["sealed"]),
            theirs + 0.5 - now,
            "bao" in service.environment.get("IMAGE", "bao"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotLook(f"Vault does not answer as Vault does ({type(error).__name__})") from error


def look_at_access(session: Session) -> Access:
    """Signs in as the operator, and looks for what the service needs."""
    from jeex_cli.ops import vault

    health = look(session)
    if health.sealed or not health.initialised:
        raise CannotLook("Vault is sealed or was never set up")
    try:
        with vault.operator(session) as signed_in:
            return Access(None, tuple(_missing(signed_in)))
    except JeexError as error:
        return Access(error, ())


def _missing(signed_in: Vault) -> Iterator[str]:
    from service.adapters.signing import KEY
    from service.adapters.vault_keys import VaultKeys
    from service.adapters.vault_secrets import VaultSecrets
    from service.services.secrets import DATABASE, PEPPER

    store = VaultSecrets(signed_in)
    for path, field in ((PEPPER, "pepper"), (DATABASE, "turn")):
        found = store.get(path)
        if found is None or not found.values.get(field):
            yield path
    if not VaultKeys(signed_in).exists(KEY):
        yield f"transit/{KEY}"


def look_at_handovers(session: Session) -> Handovers:
    """What each process would sign in with if it was started now. Looking does not use it up."""
    health = look(session)
    if health.sealed or not health.initialised:
        raise CannotLook("Vault is sealed or was never set up")
    place = Place(session.project, session.stack, session.settings, session.environ)
    settings = [Python().settings(one, place) for one in session.stack.services if one.program == "python"]
    files = {one["VAULT_ROLE_ID"]: Path(one["VAULT_HANDOVER"]) for one in settings if "VAULT_HANDOVER" in one}
    if not files:
        raise CannotLook("nothing is handed over in this stack", expected=True)
    port = session.stack.service("vault").host_port
    return Handovers(tuple(_handover(role, file, port) for role, file in files.items()))


def _handover(role: str, file: Path, port: int | None) -> Handover:
    for _ in range(_TRIES):
        with _alone(file):
            try:
                text = file.read_text(encoding="ascii", errors="replace").strip()
            except FileNotFoundError:
                return Handover(role, file, "missing")
            except OSError as error:
                raise CannotLook(f"{file} cannot be read: {error.strerror}") from error
            try:
                answer = loopback.post(f"http://127.0.0.1:{port}/v1/sys/wrapping/lookup", {"token": text}, timeout=_PATIENCE)
            except OSError as error:
                raise CannotLook(f"Vault does not answer ({type(error).__name__})") from error
            if answer.status == 200:
                return Handover(role, file, "good")
            if answer.status not in (400, 403):
                raise CannotLook(f"Vault does not say whether {role} can sign in (status {answer.status})")
        time.sleep(_PAUSE)  # somebody may be at it who does not know of the lock: seeding replaces it without
    return Handover(role, file, "used")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """While a process signs in with it, what lies there has been used and the next is not there yet: wait for that."""
    try:
        descriptor = os.open(f"{file}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # no process has signed in yet
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def look_at_leases(session: Session) -> Leases:
    """What the API says that it holds."""
    service = running(session, "api")
    key = session.stack.host_environment("api").get("ADMIN_KEY", "")
    try:
        answer = loopback.get(
            f"http://127.0.0.1:{service.host_port}/api/v1/system/leases",
            timeout=_PATIENCE,
            headers={"Authorization": f"Bearer {key}"},
        )
        found = tuple(Lease(one["what"], one["left"], one["held"]) for one in json.loads(answer.body)["leases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotLook(f"the API does not say what it holds ({type(error).__name__})") from error
    if not found:
        raise CannotLook("the API has not needed Vault yet", expected=True)
    return Leases(found)
