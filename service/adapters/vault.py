"""The way to Vault (or OpenBao): signing in, retries, and what one of them says otherwise than the other.

hvac is synchronous: inside an event loop, call these through a thread (vault_session.py does). Requests that cannot reach
Vault, and answers that say "not now", are tried again for as long as `patience` allows; what is wrong with a request is an
error at once. Where the two servers differ, the differences stand together below, each with who says what.

What can be done once signed in: vault_secrets.py, vault_keys.py, vault_logins.py, vault_system.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InternalServerError, InvalidRequest, VaultDown, VaultError

from service.core import correlation
from service.core.errors import VaultUnavailable
from service.core.settings import Secret

Result = TypeVar("Result")

# --- what the two say ---
# Said for a moment after the KV engine was mounted, with status 400; by both.
_UPGRADING = "Upgrading from non-versioned to versioned data"
# Of a key's version that is retired, or that is not there yet: OpenBao with status 500, Vault with 400.
_NO_VERSION = ("no such key version", "requested version for signing")
# Of itself, with status 503: "Vault is sealed", "OpenBao is sealed".
_IS_SEALED = "is sealed"
# Of audit devices, with status 400: OpenBao takes them from its configuration alone.
AUDIT_IS_CONFIGURED = "cannot enable audit device via API"
# Of a path where something is mounted or enabled already, with status 400: "path is already in use at ..."; by both.
IN_USE = "already in use"

# What can be asked for once is lost with an answer that nobody waited for: a Vault on a busy machine is given this long.
_ONCE = 30.0  # seconds


class _Correlated(requests.Session):
    """Says with each request which piece of work it is for: Vault's audit log shows that."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        prepared.headers.update(correlation.headers())
        return prepared


class Vault:
    """`timeout` is per request, `patience` for a whole call with its retries, both in seconds; `answer` is what an answer
    may take, where that is more than a request otherwise may."""

    def __init__(self, address: str, *, timeout: float = 2.0, patience: float = 10.0, answer: float | None = None) -> None:
        if not address:  # hvac would look for one in the environment, or take a port of this machine
            raise VaultUnavailable(
                "this installation has no Vault", code=VaultUnavailable.NOT_CONFIGURED, hint="set VAULT_ADDR"
            )
        session = _Correlated()
        session.trust_env = False  # no proxy and no netrc of the user's between us and Vault
        # An empty token: without one hvac would take VAULT_TOKEN or ~/.vault-token of whoever runs us.
        waits: Any = (timeout, answer or timeout)  # to connect, and between two bytes
        self.client = hvac.Client(url=address, token="", timeout=waits, allow_redirects=False, session=session)
        self._address = address
        self._timeout = timeout
        self._patience = patience

    def close(self) -> None:
        """Give the connections back."""
        self.client.adapter.close()

    def sign_in(self, role_id: str, secret_id: Secret) -> float:
        """Become that AppRole; how many seconds the token holds, which is kept in this client alone."""
        try:
            answer = self.call(
                lambda: self.client.auth.approle.login(role_id=role_id, secret_id=secret_id.reveal(), use_token=False)
            )
        except Forbidden as error:  # there is no AppRole at all: see unfinished.sql among the templates
            raise VaultUnavailable(
                "Vault was interrupted while it set itself up for the first time",
                code="VAULT_UNFINISHED",
                hint="it holds nothing: stop it, run templates/openbao/unfinished.sql on its database, start it",
            ) from error
        except InvalidRequest as error:
            raise VaultUnavailable(
                f"Vault refuses the role {role_id}",
                code=VaultUnavailable.REFUSED,
                hint="its secret id is that of Vault's first start: put it back; a Vault older than it has to start anew",
            ) from error
        self.client.token = answer["auth"]["client_token"]
        return float(answer["auth"]["lease_duration"])

    def renew(self) -> float:
        """Keep the token for longer; how many seconds it holds now. Raises VaultUnavailable, FORBIDDEN when it has ended."""
        answer: Mapping[str, Any] = self.permitted(self.client.auth.token.renew_self)
        return float(answer["auth"]["lease_duration"])

    def is_signed_in(self) -> bool:
        """Whether our token holds, whatever it may be good for. Raises VaultUnavailable."""
        try:
            self.call(self.client.auth.token.lookup_self)
        except (Forbidden, InvalidRequest):
            return False
        return True

    def sign_out(self) -> None:
        """End the token. Raises VaultUnavailable."""
        self.permitted(self.client.auth.token.revoke_self)
        self.client.token = ""

    def hand_over(self, role: str, ttl: str) -> Secret:
        """A new secret id of `role`, good for one sign-in, wrapped: good for one look within `ttl` (such as 10m)."""
        answer = self.permitted(lambda: self.client.auth.approle.generate_secret_id(role, wrap_ttl=ttl))
        return Secret(str(answer["wrap_info"]["token"]))

    def enter(self, role_id: str, wrapped: Secret) -> float:
        """Become that AppRole with what was handed over; how many seconds the token holds. Raises VaultUnavailable,
        HANDOVER_USED where somebody has used it before. One that Vault did not see in time is as good as before."""
        with self._asking() as asking:
            secret_id = self._opened(asking, wrapped)
            asking.client.token = ""
            holds = asking.sign_in(role_id, secret_id)  # it, too, is good for one time
            self.client.token = asking.client.token
        return holds

    def open_handover(self, wrapped: Secret) -> Secret:
        """The secret id that was wrapped. It can be had once: raises VaultUnavailable, HANDOVER_USED, for the next."""
        with self._asking() as asking:
            return self._opened(asking, wrapped)

    @contextmanager
    def _asking(self) -> Iterator[Vault]:
        one = Vault(self._address, timeout=self._timeout, patience=self._patience, answer=max(self._timeout, _ONCE))
        try:
            yield one
        finally:
            one.close()

    def _opened(self, asking: Vault, wrapped: Secret) -> Secret:
        # First as often as one likes, and without being signed in: a Vault that is away is noticed before it matters.
        look = Vault(self._address, timeout=self._timeout, patience=self._patience)
        try:
            if not look.can_open(wrapped):
                raise _used()
        finally:
            look.close()
        asking.client.token = wrapped.reveal()
        try:
            answer = asking.call(asking.client.sys.unwrap)
        except (InvalidRequest, Forbidden) as error:
            raise _used() from error
        return Secret(str(answer["data"]["secret_id"]))

    def can_open(self, wrapped: Secret) -> bool:
        """Whether what was handed over can still be opened. Looking does not open it."""
        try:
            self.call(lambda: self.client.adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapped.reveal()}))
        except (InvalidRequest, Forbidden):
            return False
        return True

    def version(self) -> str:
        """The server's version, without signing in and without retries. Raises VaultUnavailable, also when it is sealed."""
        try:
            answer = self.client.sys.read_health_status(method="GET", standby_ok=True)
            found = answer if isinstance(answer, dict) else answer.json()  # which fails where something else listens
        except (requests.RequestException, VaultError) as error:
            raise VaultUnavailable(
                f"Vault cannot be reached ({type(error).__name__})", code=VaultUnavailable.UNREACHABLE
            ) from error
        if not found.get("initialized"):
            raise VaultUnavailable("Vault is not initialised", code=VaultUnavailable.SEALED)
        if found.get("sealed"):
            raise VaultUnavailable("Vault is sealed", code=VaultUnavailable.SEALED)
        return str(found["version"])

    def permitted(self, request: Callable[[], Result]) -> Result:
        """What `request` answers; a refusal of the token that we have is VaultUnavailable."""
        try:
            return self.call(request)
        except Forbidden as error:
            raise VaultUnavailable("Vault does not let us do that (any more)", code=VaultUnavailable.FORBIDDEN) from error

    def call(self, request: Callable[[], Result]) -> Result:
        """What `request` answers, in spite of what passes. Raises VaultUnavailable, and hvac's errors for the rest."""
        deadline = time.monotonic() + self._patience
        pause = 0.02
        while True:
            try:
                return request()
            except (requests.ConnectionError, requests.Timeout, VaultDown, InternalServerError) as error:
                if any(text in str(error) for text in _NO_VERSION):
                    raise
                reason: Exception = error
            except InvalidRequest as error:
                if _UPGRADING not in str(error):
                    raise
                reason = error
            if time.monotonic() + pause > deadline:
                raise _unavailable(reason, self._patience) from reason
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret: clients must not come back at once
            pause = min(pause * 2, 1.0)


def _used() -> VaultUnavailable:
    return VaultUnavailable(
        "what was handed over to sign in to Vault with has been used before, or is too old",
        code=VaultUnavailable.HANDOVER_USED,
        hint="jeex up hands over a new one; if it was not you who used it, look into Vault's audit log",
    )


def _unavailable(reason: Exception, patience: float) -> VaultUnavailable:
    if isinstance(reason, VaultDown) and _IS_SEALED in str(reason):
        return VaultUnavailable(
            "Vault is sealed", code=VaultUnavailable.SEALED, hint="unseal it; what waits for it goes on by itself"
        )
    return VaultUnavailable(
        f"Vault did not answer for {patience:g} s ({type(reason).__name__})", code=VaultUnavailable.UNREACHABLE
    )
