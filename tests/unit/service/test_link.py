"""What asks Redis ends when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import exceptions

from service.adapters.link import Link
from service.core.settings import Secret


class Deaf:
    """A client that loses a cancellation, as redis-py does on Python 3.11 when it comes at the wrong moment."""

    async def execute_command(self, *_: object, **__: object) -> bytes:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            return b"late"
        return b"in time"


def deaf() -> Link:
    link: Any = Link(Secret("redis://127.0.0.1:1/0"), timeout=5)
    link._redis, link._errors = Deaf(), exceptions
    link.breaker.close()
    return link  # type: ignore[no-any-return]


def test_a_cancellation_that_the_client_loses_is_not_lost() -> None:
    async def main() -> None:
        link = deaf()
        async with asyncio.timeout(0.025):
            while True:
                assert await link.call("GET", "x") == b"in time"

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(main(), 5))


def test_the_time_of_a_call_that_is_up_is_no_cancellation() -> None:
    async def main() -> bytes:
        link: Any = deaf()
        link._timeout = 0.002
        return await link.call("GET", "x")  # type: ignore[no-any-return]

    assert asyncio.run(main()) == b"late"
