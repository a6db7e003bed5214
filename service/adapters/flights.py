"""Work that many ask for at the same moment, done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import structlog

from service.core.errors import ServiceError

Work = Callable[[asyncio.Future[Any]], Awaitable[None]]


class Flights:
    """Work under way, by what it is about. Who stops waiting leaves it to the others."""

    def __init__(self) -> None:
        self._results: dict[Hashable, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, about: Hashable, work: Work) -> Any:
        """What the work gives its future, whoever began it. Raises what it raises."""
        result = self._results.get(about) or self.begin(about, work)
        return await asyncio.shield(result)

    def begin(self, about: Hashable, work: Work) -> asyncio.Future[Any]:
        """Begin the work, unless it is under way. It is joined until its end, which may be behind that of its future."""
        if (found := self._results.get(about)) is not None:
            return found
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._results[about] = result
        task = asyncio.create_task(self._run(about, work, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return result

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _run(self, about: Hashable, work: Work, result: asyncio.Future[Any]) -> None:
        log = structlog.get_logger()
        try:
            await work(result)
        except ServiceError as error:
            _fail(result, error)
        except Exception as error:
            log.exception("flight.crashed")
            _fail(result, error)
        finally:
            del self._results[about]
            if not result.done():
                result.cancel()


def _fail(result: asyncio.Future[Any], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
        result.exception()  # seen, even where nobody waits any more
