"""So many requests a minute and key, and no more memory than that takes."""

from __future__ import annotations

import uuid

import pytest

from service.api.limits import RateLimiter
from service.core.errors import TooManyRequests


class Clock:
    """Nanoseconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000_007

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 10**9)


def _admitted(limiter: RateLimiter, key: uuid.UUID | str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limiter.hit(key)
        except TooManyRequests:
            continue
        count += 1
    return count


@pytest.mark.parametrize("per_minute", [1, 3, 7, 10, 60, 6000])
def test_so_many_at_once_and_then_so_many_a_minute(per_minute: int) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    assert _admitted(limiter, "a", 3 * per_minute) == per_minute
    for _ in range(3):
        clock.sleep(60)
        assert _admitted(limiter, "a", 3 * per_minute) == per_minute
    admitted = 0
    for _ in range(600):
        clock.sleep(0.1)
        admitted += _admitted(limiter, "a", 1 + per_minute // 100)
    assert admitted == per_minute


@pytest.mark.parametrize("per_minute", [1, 7, 10, 6000])
def test_who_comes_back_when_told_is_admitted(per_minute: int) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    _admitted(limiter, "a", per_minute)
    for _ in range(20):
        with pytest.raises(TooManyRequests) as refused:
            for _ in range(per_minute + 1):
                limiter.hit("a")
        assert refused.value.retry_after >= 1
        clock.sleep(refused.value.retry_after)
        limiter.hit("a")


def test_a_refused_hit_does_not_count() -> None:
    clock = Clock()
    limiter = RateLimiter(10, clock=clock)
    assert _admitted(limiter, "a", 1000) == 10
    clock.sleep(6)
    assert _admitted(limiter, "a", 1000) == 1


def test_keys_do_not_know_each_other() -> None:
    limiter = RateLimiter(5, clock=Clock())
    keys: list[uuid.UUID | str] = [uuid.uuid4(), uuid.uuid4(), "acme 127.0.0.1", "acme 127.0.0.2"]
    assert [_admitted(limiter, key, 9) for key in keys] == [5, 5, 5, 5]


def test_zero_is_no_limit() -> None:
    assert _admitted(RateLimiter(0), "a", 10_000) == 10_000


def test_idle_keys_are_forgotten_and_busy_ones_are_not() -> None:
    clock = Clock()
    limiter = RateLimiter(10, clock=clock)
    assert _admitted(limiter, "busy", 10) == 10
    for number in range(500):
        limiter.hit(f"passing {number}")
        clock.sleep(0.01)
    assert _admitted(limiter, "busy", 10) == 0
    for number in range(12_000):
        limiter.hit(f"later {number}")
        clock.sleep(0.01)
    assert 600 <= len(limiter) < 700  # a hit of ten a minute is paid for after six seconds


def test_there_are_never_more_keys_than_that() -> None:
    limiter = RateLimiter(10, keys=100, clock=Clock())
    for number in range(10_000):
        limiter.hit(str(number))
        assert len(limiter) <= 100
