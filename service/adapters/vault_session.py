"""One process's way into Vault, from an event loop: who it is there, and that it stays so.

hvac is slow to import and waits for answers: it is imported and used in a few threads, so requests that need no Vault do not
wait for those that do.
"""

from __future__ import annotations

import asyncio
import contextvars
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from service.core.errors import VaultUnavailable
from service.core.settings import Secret
from service.core.spans import NO_SPANS, Spans

if TYPE_CHECKING:
    from service.adapters.vault import Vault

Result = TypeVar("Result")
HANDOVER_TTL = "720h"  # how long a machine may be off, so that its processes still find their way in


class Identity(Protocol):
    """How a process becomes an AppRole."""

    def sign_in(self, vault: Vault) -> float:
        """Sign `vault` in; how many seconds that holds. Raises VaultUnavailable."""

    def settle(self, vault: Vault) -> None:
        """Do what is left to do after a sign-in, if anything. Raises VaultUnavailable."""


class SecretId:
    """A role's id and a secret id that may be used again and again."""

    def __init__(self, role_id: str, secret_id: Secret) -> None:
        self._role_id = role_id
        self._secret_id = secret_id

    def sign_in(self, vault: Vault) -> float:
        """With the same secret id each time."""
        return vault.sign_in(self._role_id, self._secret_id)

    def settle(self, vault: Vault) -> None:
        """Nothing to do."""


class Handover:
    """A file with a wrapped secret id, which is good for one look and one sign-in; then the next one takes its place.

    Whoever copies the file and is faster locks the process out, which is reported; whoever is slower gets nothing. The
    file is for one role on one machine; processes that share it take turns.
    """

    def __init__(self, role_id: str, file: Path) -> None:
        self._role_id = role_id
        self._file = file
        self._unsettled = False

    def sign_in(self, vault: Vault) -> float:
        """With what was handed over. Raises VaultUnavailable, HANDOVER_USED when somebody else was faster."""
        with self._alone():
            holds = vault.enter(self._role_id, self._read())
            self._unsettled = True
            try:
                self._next(vault)
            except VaultUnavailable as error:  # it works until it is started again; `settle` tries once more
                structlog.get_logger().warning("vault.handover_late", code=error.code, reason=error.message)
        return holds

    def settle(self, vault: Vault) -> None:
        """Write the next handover, where the last sign-in could not."""
        if self._unsettled:
            with self._alone():
                self._next(vault)

    def _next(self, vault: Vault) -> None:
        write_handover(self._file, vault.hand_over(self._role_id, HANDOVER_TTL))
        self._unsettled = False

    def _read(self) -> Secret:
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error
        return Secret(text)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            descriptor = os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unreadable(self, error: Exception) -> VaultUnavailable:
        return VaultUnavailable(
            f"nothing was handed over to sign in to Vault with ({type(error).__name__}: {self._file})",
            code=VaultUnavailable.NOT_CONFIGURED,
            hint="run the seed process",
        )


def write_handover(file: Path, wrapped: Secret) -> None:
    """Put `wrapped` into `file`, at once, mode 0600. Raises OSError."""
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(wrapped.reveal() + "\n")
    new.replace(file)


class VaultSession:
    """`identity` is None where this process has no way in. `timeout` is for a request, `patience` for a call with its
    retries, in seconds; `at_once` is how many calls may be under way."""

    def __init__(
        self, address: str, identity: Identity | None, *, timeout: float = 2.0, patience: float = 1.0, at_once: int = 4
    ) -> None:
        self._address = address
        self._identity = identity
        self.spans: Spans = NO_SPANS  # what this process knows of only once it has its settings
        self._timeout = timeout
        self._patience = patience
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="vault")
        self._signing_in = threading.Lock()
        self._vault: Vault | None = None
        self._renew_at = 0.0
        self._holds_until = 0.0
        self._held = 0.0
        self.signed_in = 0  # how often

    @property
    def may_enter(self) -> bool:
        """Whether this process was given a way into a Vault at all."""
        return bool(self._address) and self._identity is not None

    async def run(self, work: Callable[[Vault], Result]) -> Result:
        """What `work` answers, signed in. Our token ends after a while, or is revoked: then once more with a new one.

        Raises VaultUnavailable, and what `work` raises.
        """
        if not self.may_enter:
            raise VaultUnavailable(
                "this installation has no way into Vault",
                code=VaultUnavailable.NOT_CONFIGURED,
                hint="set VAULT_ADDR, VAULT_ROLE_ID and VAULT_HANDOVER; API keys need no Vault",
            )
        # With the ids of the request or the job that asks: a thread of the pool knows of none.
        context = contextvars.copy_context()
        with self.spans.span("vault"):
            return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, self._signed, work)

    async def keep(self) -> None:
        """Renew our token when half of its time is over. Raises VaultUnavailable. Call it now and then."""
        if self.signed_in and time.monotonic() > self._renew_at:
            await self.run(self._renew)

    @property
    def token(self) -> tuple[float, float] | None:
        """Seconds that our token is still good for, and those that it was good for at first; None before there is one."""
        return (self._holds_until - time.monotonic(), self._held) if self.signed_in else None

    async def close(self) -> None:
        """End our token and give the connections back."""
        if self._vault is not None:
            await asyncio.to_thread(self._leave, self._vault)
        self._threads.shutdown(wait=False)

    def _signed(self, work: Callable[[Vault], Result]) -> Result:
        vault = self._opened()
        before = self.signed_in
        if before:
            try:
                return work(vault)
            except VaultUnavailable as error:
                if error.code != VaultUnavailable.FORBIDDEN or vault.is_signed_in():
                    raise
        with self._signing_in:
            if self.signed_in == before:  # no other thread was faster
                self._sign_in(vault)
        return work(vault)

    def _opened(self) -> Vault:
        with self._signing_in:
            if self._vault is None:
                from service.adapters.vault import Vault

                self._vault = Vault(self._address, timeout=self._timeout, patience=self._patience)
            return self._vault

    def _sign_in(self, vault: Vault) -> None:
        assert self._identity is not None  # noqa: S101 - `run` has looked
        try:
            self._holds(self._identity.sign_in(vault))
        except VaultUnavailable as error:
            if error.code == VaultUnavailable.HANDOVER_USED:
                structlog.get_logger().error("vault.handover_used", reason=error.message, hint=error.hint)
            raise
        self.signed_in += 1

    def _renew(self, vault: Vault) -> None:
        assert self._identity is not None  # noqa: S101 - `run` has looked
        self._holds(vault.renew())
        self._identity.settle(vault)

    def _holds(self, seconds: float) -> None:
        now = time.monotonic()
        self._renew_at, self._holds_until, self._held = now + seconds / 2, now + seconds, seconds

    def _leave(self, vault: Vault) -> None:
        try:
            if self.signed_in:
                vault.sign_out()
        except VaultUnavailable:
            return  # it ends by itself
        finally:
            vault.close()
