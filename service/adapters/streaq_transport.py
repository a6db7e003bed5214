"""Jobs over Redis, carried by streaQ.

streaQ gives streams with consumer groups, hand-over of what a dead process had, and back-pressure. What it could do besides
(retries, results, schedules, pickled arguments) is not used: the row of the job has all of that, and survives Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from service.adapters.due_jobs import Due
from service.adapters.transport import Handler, Signer
from service.core.errors import Forbidden, Unavailable
from service.core.settings import Secret

if TYPE_CHECKING:
    from streaq import Worker

QUEUE = "jeex"  # its keys begin with streaq:jeex:
_CARRY = "carry"  # the one function that streaQ knows of
_FIELDS = {"f", "a", "k", "t"}  # of a message, as streaQ has it: function, arguments, by name, time
_TIMEOUT = 2.0  # seconds for Redis to answer
_IDLE = 3.0  # seconds after which what a process has taken and not begun is another's
_LOOK = 1.0  # seconds between two looks whether Redis still answers
_PAUSE = (0.2, 5.0)  # seconds between two attempts to reach it: at first, at most


class StreaqTransport:
    """See Transport. `url` is Redis', `signer` signs what is sent and refuses what it has not signed."""

    def __init__(self, url: Secret, signer: Signer) -> None:
        self._url = url
        self._signer = signer
        self._running: Worker[None] | None = None  # while Redis answers
        self._log = structlog.get_logger()

    async def send(self, messages: Sequence[Due]) -> None:
        """Hand messages over. Raises Unavailable."""
        worker = self._running
        if worker is None:
            raise Unavailable("Redis cannot be reached", code="REDIS_UNAVAILABLE")
        with _translated():
            async with asyncio.timeout(_TIMEOUT):
                await worker.enqueue_many([worker.enqueue_unsafe(_CARRY, self._signer.seal(one)) for one in messages])

    async def run(self, handle: Handler, *, slots: int, lost: Callable[[], None]) -> None:
        """Begins anew, with new connections and whatever Redis has forgotten, as often as it takes."""
        pause = _PAUSE[0]
        away = False
        while True:
            worker = self._worker(slots=slots)

            async def carry(envelope: Any) -> None:
                await handle(self._signer.open(envelope))

            worker.task(name=_CARRY, silent=True, max_tries=None, ttl=0)(carry)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(worker.run_async())
                    await self._watch(worker, running)
                    if away:
                        self._log.info("queue.back")
                    away, pause = False, _PAUSE[0]
                    self._running = worker
                    lost()
                    while True:
                        await asyncio.sleep(_LOOK)
                        await self._ping(worker)
            except* Exception as error:  # noqa: BLE001 - whatever it is, work goes on as soon as it is over
                first = _first(error)
                if not away:
                    self._log.warning("queue.away", reason=f"{type(first).__name__}: {first}"[:200])
                away = True
                await self._forget_what_breaks_us(first)
            finally:
                self._running = None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE[1])

    def _worker(self, *, slots: int) -> Worker[None]:
        from streaq import Worker

        class Quiet(Worker[None]):
            async def signal_handler(self, scope: object) -> None:
                """Signals are the process's own affair: it knows what else is to be ended."""

        return Quiet(
            redis_url=self._url.reveal(),
            redis_kwargs={"stream_timeout": _TIMEOUT + _IDLE, "connect_timeout": _TIMEOUT, "max_connections": 64},
            queue_name=QUEUE,
            concurrency=slots,
            serializer=_to_json,
            deserializer=self._from_json,
            idle_timeout=_IDLE,
        )

    def _from_json(self, data: bytes | str) -> Any:
        """What streaQ reads from Redis, once it is known to be ours: it believes the rest of a message's form."""
        try:
            found = orjson.loads(data)
            if not isinstance(found, dict) or found.keys() != _FIELDS or found["f"] != _CARRY or found["k"] != {}:
                raise ValueError
            if type(found["t"]) is not int or not isinstance(found["a"], list) or len(found["a"]) != 1:
                raise ValueError
            self._signer.open(found["a"][0])
        except (ValueError, Forbidden):
            self._log.warning("queue.refused", code="MESSAGE_REFUSED", reason="a message that is not signed by us")
            raise Forbidden("a message of the queue is not signed by us", code="MESSAGE_REFUSED") from None
        return found

    async def _watch(self, worker: Worker[None], running: asyncio.Task[None]) -> None:
        """Until the worker reads from Redis."""
        async with asyncio.timeout(3 * _TIMEOUT):
            while not worker._running and not running.done():  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(0.01)

    async def _ping(self, worker: Worker[None]) -> None:
        async with asyncio.timeout(_TIMEOUT):
            await worker.redis.ping()

    async def _forget_what_breaks_us(self, error: BaseException) -> None:
        """After anything but Redis being away: something in the stream is of a form that streaQ cannot read, and would end
        it again. What is ours is sent again by the relay, what is not is not."""
        from coredis.exceptions import RedisError

        if isinstance(error, RedisError | OSError | TimeoutError):
            return
        with contextlib.suppress(Unavailable), _translated():
            async with asyncio.timeout(_TIMEOUT), self._worker(slots=1) as worker:
                await worker.redis.delete([f"{worker.stream_key}{one}" for one in worker.priorities])


def _to_json(data: Any) -> bytes:
    # What streaQ tells of a task that has failed holds the exception: its kind is enough, its text may be anybody's.
    return orjson.dumps(data, default=lambda one: type(one).__name__)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _translated() -> Iterator[None]:
    from coredis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis cannot be reached", code="REDIS_UNAVAILABLE") from error
    except RuntimeError as error:
        if "onnection pool" not in str(error):
            raise
        # The client is being closed this very moment: its worker has met an error, and another takes its place.
        raise Unavailable("Redis cannot be reached", code="REDIS_UNAVAILABLE") from error
    except BaseExceptionGroup as group:
        if group.split((RedisError, OSError, TimeoutError))[1] is not None:
            raise
        raise Unavailable("Redis cannot be reached", code="REDIS_UNAVAILABLE") from group
