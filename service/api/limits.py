"""What one request may take: so many bytes, so much time; and how many requests a caller may make. Pure ASGI.

BodyLimit stands outside of Deadline: what it lets a refused client say to the end is no longer part of the request.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem
from service.core.errors import TooManyRequests

_LINGER = 1.0  # seconds; see _drain
_DEADLINE = "jeex.deadline"
_MINUTE = 60 * 10**9  # nanoseconds


class BodyLimit:
    """Refuses bodies of more than `limit` bytes: by their Content-Length before anything is read, else while it is read.

    Starlette's own answers in plain text, runs the endpoint of a body that says it is too long, and leaves the connection
    open. What is at or below its Content-Length needs no counting: the server reads no more than that.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths, chunked = [], False
        for name, value in scope["headers"]:
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                chunked = True
        if lengths:
            length = lengths[0]
            if len(lengths) > 1 or chunked or not length.isdigit() or len(length) > 19:
                detail = "the length of the body is not said in a way that can be understood"
                response = problem(scope, 400, detail, code="MALFORMED_REQUEST", headers={"connection": "close"})
                await response(scope, receive, send)
            elif int(length) > self._limit:
                await self._refuse(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        elif chunked:
            await self._counted(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, started = 0, False

        async def counting() -> Message:
            nonlocal size
            if size <= self._limit:
                message = await receive()
                size += len(message.get("body", b""))
                if size <= self._limit:
                    return message
            raise _TooLarge

        async def watched(message: Message) -> None:
            nonlocal started
            if started or size <= self._limit:  # what the application makes of _TooLarge is not for the client
                started = True
                await send(message)

        try:
            await self._app(scope, counting, watched)
        except Exception:
            if started or size <= self._limit:
                raise
        if size > self._limit and not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"the body is longer than {self._limit} bytes"
        response = problem(scope, 413, detail, code="BODY_TOO_LARGE", headers={"connection": "close"})
        await send({"type": "http.response.start", "status": 413, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


class _TooLarge(HTTPException):
    """The one kind of error that FastAPI does not turn into a 400 when it reads a body."""

    def __init__(self) -> None:
        super().__init__(413)


async def _drain(receive: Receive) -> None:
    """Throw away what the client is still sending, for a moment. Closing on it would reset the connection, and a client that
    writes all before it reads would never see the answer."""
    try:
        async with asyncio.timeout(_LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


def lift_deadline(scope: Scope) -> None:
    """This request takes as long as it takes: what it sends has no end, or is as long as its reader is slow."""
    if (deadline := scope.get(_DEADLINE)) is not None:
        deadline.reschedule(None)


class Deadline:
    """Ends a request, its body included, that takes more than `seconds`: the work is cancelled, so its transaction is rolled
    back. A response that has begun is broken off. Work in threads cannot be cancelled; it is waited for.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = whole = waited = False

        async def reading() -> Message:
            nonlocal whole, waited
            if whole:
                return await receive()
            try:
                message = await receive()
            except asyncio.CancelledError:
                waited = deadline.expired()
                raise
            whole = not message.get("more_body", False)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as deadline:
                scope[_DEADLINE] = deadline
                await self._app(scope, reading, watched)
        except TimeoutError:
            if not deadline.expired() or started:
                raise  # the endpoint's own; or half an answer is out and the connection must break
            structlog.get_logger().warning("http.timeout", path=scope["path"], seconds=self._seconds, waited_for_body=waited)
            await _late(scope, self._seconds, waited=waited)(scope, receive, send)


def _late(scope: Scope, seconds: float, *, waited: bool) -> ASGIApp:
    if waited:
        detail = f"the body did not arrive within {seconds:g} s"
        return problem(scope, 408, detail, code="BODY_TIMEOUT", headers={"connection": "close"})
    detail = f"the request could not be completed within {seconds:g} s"
    return problem(scope, 503, detail, code="REQUEST_TIMEOUT", headers={"retry-after": "1"})


class RateLimiter:
    """Admits `per_minute` hits of a key at once, and from then on one each 60/`per_minute` seconds; 0 admits all.

    This is GCRA: a key is one number, the time at which its burst will have been paid for. At most `keys` are held; those
    that have been idle longest go first, and one that has been idle for a minute says nothing anyway.

    `limits` was measured: its MemoryStorage starts a thread for a hit unless one is running, that is 240 us for every hit of
    a quiet process, walks through all keys in it, and its moving window never lets go of a key.
    """

    def __init__(self, per_minute: int, *, keys: int = 65_536, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._per_minute = per_minute
        self._step = _MINUTE // per_minute if per_minute else 0
        self._keys = keys
        self._clock = clock
        self._paid: OrderedDict[uuid.UUID | str, int] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._paid)

    def hit(self, key: uuid.UUID | str) -> None:
        """Count one. Raises TooManyRequests, which is not counted."""
        if not self._step:
            return
        paid, now = self._paid, self._clock()
        until = max(paid.get(key, now), now) + self._step
        wait = until - now - _MINUTE
        if wait > 0:
            raise TooManyRequests(f"more than {self._per_minute} requests a minute", retry_after=-(-wait // 10**9))
        paid[key] = until
        paid.move_to_end(key)
        # Two for one: what is idle goes faster than what is new comes.
        for _ in range(2):
            oldest = next(iter(paid))
            if paid[oldest] > now and len(paid) <= self._keys:
                break
            del paid[oldest]
