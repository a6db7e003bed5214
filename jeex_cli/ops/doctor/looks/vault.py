"""Looks at the running Vault, and at what the API holds of it."""

from __future__ import annotations

import json
import re
import time

from jeex_cli import loopback
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.vault import Access, Health, Lease, Leases
from jeex_cli.errors import JeexError
from jeex_cli.ops.doctor.looks.services import running
from jeex_cli.session import Session

_PATIENCE = 2.0  # seconds
# Whatever its state, the answer is 200 and says it.
_HEALTH = "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200&standbycode=200"
_LEASE = re.compile(r"(Vault token|database login) (-?\d+) of (\d+) s")


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
    """Signs in as the operator, and looks for what the service needs; no value is read."""
    from jeex_cli.ops import vault

    health = look(session)
    if health.sealed or not health.initialised:
        raise CannotLook("Vault is sealed or was never set up")
    try:
        with vault.secrets(session) as store:
            from service.services.secrets import DATABASE, PEPPER

            return Access(None, tuple(path for path in (PEPPER, DATABASE) if store.get(path) is None))
    except JeexError as error:
        return Access(error, ())


def look_at_leases(session: Session) -> Leases:
    """What the API says that it holds."""
    service = running(session, "api")
    try:
        answer = loopback.get(f"http://127.0.0.1:{service.host_port}/api/v1/system/status", timeout=_PATIENCE)
        components = json.loads(answer.body)["components"]
        detail = next(str(one["detail"]) for one in components if one["name"] == "api")
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise CannotLook(f"the API does not say what it holds ({type(error).__name__})") from error
    found = _LEASE.findall(detail)
    if not found:
        raise CannotLook("the API has not needed Vault yet", expected=True)
    return Leases(tuple(Lease(what, float(left), float(held)) for what, left, held in found))
