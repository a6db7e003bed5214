"""The breaker, and work that is done once for all who ask."""

from __future__ import annotations

import asyncio

import pytest

from service.adapters.breaker import Breaker
from service.adapters.flights import Flights
from service.core.errors import DatabaseUnavailable


def test_it_opens_after_failures_in_a_row_and_stays_open() -> None:
    breaker = Breaker(3)
    for answers in (False, False, True, False, False):
        (breaker.succeeded if answers else breaker.failed)()
    assert breaker.closed
    breaker.failed()
    assert not breaker.closed
    breaker.succeeded()
    breaker.failed()
    assert (breaker.closed, breaker.opened) == (False, 1)
    breaker.close()
    assert breaker.closed


def test_many_who_ask_at_once_are_one_flight() -> None:
    runs = 0

    async def work(result: asyncio.Future[int]) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.01)
        result.set_result(7)

    async def main() -> list[int]:
        flights = Flights()
        return await asyncio.gather(*(flights.join("it", work) for _ in range(500)))

    assert asyncio.run(main()) == [7] * 500
    assert runs == 1


def test_who_leaves_leaves_it_to_the_others_and_its_error_is_everybodys() -> None:
    async def work(result: asyncio.Future[int]) -> None:
        await asyncio.sleep(0.01)
        raise DatabaseUnavailable("away")

    async def main() -> None:
        flights = Flights()
        first, second = (asyncio.create_task(flights.join("it", work)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(DatabaseUnavailable):
            await second
        with pytest.raises(DatabaseUnavailable):  # and it is over
            await flights.join("it", work)

    asyncio.run(main())
