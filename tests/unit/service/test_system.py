"""The report of the parts: at the same time, and none can hold it up."""

from __future__ import annotations

import asyncio
import time

from service.core.errors import Unavailable
from service.services.system import Probe, Report, Seen, check


async def fine() -> Seen:
    await asyncio.sleep(0.05)
    return Seen("1.2", "well")


async def gone() -> Seen:
    raise Unavailable("it cannot be reached")


async def hangs() -> Seen:
    await asyncio.sleep(60)
    return Seen("never")


def test_all_well() -> None:
    overall, [one] = asyncio.run(check([Probe("a", fine, vital=True)]))
    assert (overall, one.name, one.status, one.version, one.detail) == ("ok", "a", "up", "1.2", "well")
    assert 50 <= one.latency_ms < 1000


def test_what_is_lost_counts_by_its_weight() -> None:
    assert asyncio.run(check([Probe("a", fine, vital=True), Probe("b", gone)]))[0] == "degraded"
    assert asyncio.run(check([Probe("a", gone, vital=True), Probe("b", fine)]))[0] == "down"


def test_asks_at_the_same_time_and_gives_up_in_time() -> None:
    started = time.monotonic()
    probes = [*(Probe(str(number), fine) for number in range(20)), Probe("x", hangs)]
    _, found = asyncio.run(check(probes, patience=0.2))
    assert time.monotonic() - started < 0.8
    assert [one.name for one in found] == [one.name for one in probes]
    assert (found[-1].status, found[-1].version, found[-1].detail) == ("down", "", "no answer within 0.2 s")


def test_one_look_serves_all_who_ask_meanwhile() -> None:
    looks = 0

    async def counted() -> Seen:
        nonlocal looks
        looks += 1
        return await fine()

    async def work() -> None:
        report = Report([Probe("a", counted)])
        impatient = asyncio.create_task(report.now())
        others = [asyncio.create_task(report.now()) for _ in range(20)]
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert {overall for overall, _ in await asyncio.gather(*others)} == {"ok"}
        assert looks == 1
        await report.now()
        assert looks == 2

    asyncio.run(work())
