"""Redis (or Valkey). Without it the platform is slower, not broken: every call is short and is not tried again."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from service.core.errors import Unavailable
from service.core.settings import Secret


class Cache:
    """A pool of connections. `timeout` is for connecting and for each answer, in seconds."""

    def __init__(self, url: Secret, *, timeout: float = 0.2) -> None:
        # Without these two a single command against a silent address takes close to a minute.
        self._redis = Redis.from_url(
            url.reveal(), socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def version(self) -> str:
        """The server's name and version. Raises Unavailable."""
        try:
            found = await self._redis.info("server")
        except AuthenticationError as error:
            raise Unavailable("Redis refuses the service's password", code="REDIS_REFUSED") from error
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("Redis cannot be reached", code="REDIS_UNAVAILABLE") from error
        if "valkey_version" in found:
            return f"Valkey {found['valkey_version']}"
        return f"Redis {found['redis_version']}"
