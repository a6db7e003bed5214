"""What carries jobs to workers: a messenger that may lose, repeat and invent, for the truth is the job's row.

A message names a tenant, a job and how many attempts that had; it is signed, so that whoever can write to Redis can have
nothing done. What a job is and what it is given is never in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from service.adapters.due_jobs import Due
from service.core.errors import Forbidden
from service.core.settings import Secret

Handler = Callable[[Due], Awaitable[None]]


class Transport(Protocol):
    """Carries messages from any relay to any worker. At least once, in no order that may be relied on."""

    async def send(self, messages: Sequence[Due]) -> None:
        """Hand messages over, while `run` runs. Raises Unavailable; some of them may have been handed over then."""

    async def run(self, handle: Handler, *, slots: int, lost: Callable[[], None]) -> None:
        """Give what arrives to `handle`, `slots` at a time, until cancelled. `handle` begins work, and returns at once.

        Outlives whatever it goes through. `lost` is called whenever what was sent before may not arrive any more.
        """


class Signer:
    """Signs messages with HMAC-SHA256. The key is secret, and at least 32 bytes."""

    def __init__(self, key: Secret) -> None:
        if len(key.reveal()) < 32:
            raise ValueError("a key that signs messages has at least 32 characters")
        self._key = key.reveal().encode()

    def seal(self, message: Due) -> dict[str, object]:
        """The message as it travels."""
        text = self._text(message)
        return {
            "tenant": str(message.tenant_id),
            "job": str(message.job_id),
            "attempts": message.attempts,
            "signature": hmac.new(self._key, text, hashlib.sha256).hexdigest(),
        }

    def open(self, envelope: object) -> Due:
        """The message that was sealed. Raises Forbidden (MESSAGE_REFUSED) for anything else; of it, nothing is said."""
        try:
            if not isinstance(envelope, dict) or envelope.keys() != {"tenant", "job", "attempts", "signature"}:
                raise ValueError
            attempts, signature = envelope["attempts"], envelope["signature"]
            if type(attempts) is not int or not isinstance(signature, str):
                raise ValueError
            message = Due(uuid.UUID(envelope["tenant"]), uuid.UUID(envelope["job"]), attempts)
            right = hmac.new(self._key, self._text(message), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(right.encode(), signature.encode()):
                raise ValueError
        except (ValueError, AttributeError, TypeError):
            raise Forbidden("a message of the queue is not signed by us", code="MESSAGE_REFUSED") from None
        return message

    @staticmethod
    def _text(message: Due) -> bytes:
        return f"jeex.job.1|{message.tenant_id}|{message.job_id}|{message.attempts}".encode()


class LocalTransport:
    """Within one process, for where there is no Redis: a relay carries to the worker beside it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Due] = asyncio.Queue()

    async def send(self, messages: Sequence[Due]) -> None:
        """Never fails."""
        for one in messages:
            self._queue.put_nowait(one)

    async def run(self, handle: Handler, *, slots: int, lost: Callable[[], None]) -> None:
        """Nothing is ever lost while the process lives; what an earlier process had is."""
        lost()
        while True:
            await handle(await self._queue.get())
