"""Requests without a pause, from several clients at once, while something happens to the servers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.integration.service.client import Answer
from tests.integration.service.machine import until


@dataclass
class Traffic:
    """What was answered so far, by status and code."""

    outcomes: Counter[tuple[int, str]] = field(default_factory=Counter)
    broken: list[Exception] = field(default_factory=list)

    @property
    def failures(self) -> dict[tuple[int, str], int]:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome[0] >= 400}

    def go_on(self, requests: int = 50) -> None:
        """Until so many more were answered."""
        before = self.outcomes.total()
        until(lambda: self.broken or self.outcomes.total() >= before + requests)
        assert not self.broken


@contextmanager
def traffic(*asking: Callable[[], Answer]) -> Iterator[Traffic]:
    """One client for each of `asking`, until the block ends; the first requests have been answered when it begins."""
    seen, ended, lock = Traffic(), threading.Event(), threading.Lock()

    def one(ask: Callable[[], Answer]) -> None:
        while not ended.is_set():
            try:
                outcome = ask().outcome
            except Exception as error:  # noqa: BLE001 - told to the test
                seen.broken.append(error)
                return
            with lock:
                seen.outcomes[outcome] += 1

    threads = [threading.Thread(target=one, args=(ask,), daemon=True) for ask in asking]
    for thread in threads:
        thread.start()
    try:
        seen.go_on(len(threads))
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)
    assert not seen.broken, seen.broken[0]
