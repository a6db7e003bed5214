"""Redis (or Valkey), as one process reaches it. Without it the platform is slower, not broken: every call is short, is not
tried again, and is not made at all once a few in a row have failed.

The client is imported in a thread when it is first needed, for that takes longer than the API takes to start.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from service.adapters.breaker import Breaker
from service.core.errors import RedisUnavailable
from service.core.settings import Secret
from service.core.spans import NO_SPANS, Spans

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CONNECTIONS = 8  # each answers thousands of calls a second; more would only make a start slower
Command = Sequence[str | bytes | int]

# Part of what every cached value is stamped with; see cache.py.
EPOCH, SERVER = "jeex:cache:epoch", "jeex:cache:server"
# What a server has persisted may be older than what it has answered. So each new start of one begins a new epoch, and this
# goes ahead of whatever is asked on a connection. ARGV: the new epoch.
_GREETING = f"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('GET', '{SERVER}') ~= run or redis.call('EXISTS', '{EPOCH}') == 0 then
  redis.call('SET', '{EPOCH}', ARGV[1])
  redis.call('SET', '{SERVER}', run)
end
return run
"""


def new_stamp() -> bytes:
    """Eight random bytes: whatever comes back out of a backup is never equal to them."""
    return secrets.token_bytes(8)


class Link:
    """`timeout` is for a whole call, in seconds. The breaker is open until `open` has been there."""

    def __init__(self, url: Secret, *, timeout: float = 0.2, spans: Spans = NO_SPANS) -> None:
        self._url = url
        self._timeout = timeout
        self._spans = spans
        self._opening = asyncio.Lock()
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._redis: Redis | None = None
        self._errors: ModuleType | None = None
        self.breaker = Breaker(closed=False)

    async def close(self) -> None:
        """Close every connection."""
        if self._redis is not None:
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    async def call(self, *command: str | bytes | int, **options: Any) -> Any:
        """What Redis answers; `options` tell the client how to read that. Raises RedisUnavailable."""
        async with self._asked(command[0]) as redis:
            return await redis.execute_command(*command, **options)  # type: ignore[no-untyped-call]

    async def many(self, commands: Sequence[Command]) -> list[Any]:
        """What Redis answers to each, in one go. Raises RedisUnavailable."""
        async with self._asked(commands[0][0]) as redis:
            pipeline = redis.pipeline(transaction=False)
            for one in commands:
                pipeline.execute_command(*one)
            found: list[Any] = await pipeline.execute()
        return found

    async def version(self) -> str:
        """The server's name and version. Raises RedisUnavailable."""
        found = await self.call("INFO", "server")
        if "valkey_version" in found:
            return f"Valkey {found['valkey_version']}"
        return f"Redis {found['redis_version']}"

    async def open(self) -> None:
        """Have the client at hand. Connects to nothing."""
        async with self._opening:
            if self._redis is None:
                self._redis = await asyncio.to_thread(self._make)

    @asynccontextmanager
    async def _asked(self, name: str | bytes | int) -> AsyncIterator[Redis]:
        if self._redis is None:
            await self.open()
        redis, errors, open_before = self._redis, self._errors, not self.breaker.closed
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        assert redis is not None  # noqa: S101 - `open` has made it
        assert errors is not None  # noqa: S101
        try:
            async with self._turns:
                if not (open_before or self.breaker.closed):
                    raise RedisUnavailable("Redis does not answer")  # so it turned out while we waited
                with self._spans.span("redis", command=str(name)):
                    async with asyncio.timeout(self._timeout):
                        yield redis
        except errors.AuthenticationError as error:
            self.breaker.failed()
            raise RedisUnavailable("Redis refuses the service's password", code=RedisUnavailable.REFUSED) from error
        except errors.ResponseError as error:  # it answers: its memory is full, or it may not be written to
            raise RedisUnavailable("Redis refuses a command", code=RedisUnavailable.REFUSED_COMMAND) from error
        except (errors.RedisError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise RedisUnavailable("Redis cannot be reached") from error
        self.breaker.succeeded()
        # redis-py sends within asyncio.wait_for, which loses a cancellation that comes as it ends (Python 3.11): whoever
        # asks in a loop would do so for ever.
        if task and task.cancelling() > cancelled:
            raise asyncio.CancelledError

    def _make(self) -> Redis:
        from redis import exceptions
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._errors = exceptions
        # Without limits and with the usual retries one command against a silent address takes close to a minute.
        pool = ConnectionPool.from_url(
            self._url.reveal(),
            max_connections=_CONNECTIONS,
            protocol=2,  # says all that is asked here, in fewer steps
            driver_info=None,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=_greet,
        )
        return Redis.from_pool(pool)


async def _greet(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_command("EVAL", _GREETING, 0, new_stamp())
    await connection.read_response()
