"""A circuit breaker: what does not answer is left alone until somebody has seen it answer again."""

from __future__ import annotations


class Breaker:
    """Opens after `threshold` failures in a row. It never closes by itself: whoever looks after it does, so that no request
    has to try what is likely to fail."""

    def __init__(self, threshold: int = 3, *, closed: bool = True) -> None:
        self._threshold = threshold
        self._failures = 0
        self.closed = closed
        self.opened = 0  # how often

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        if self.closed and self._failures >= self._threshold:
            self.closed = False
            self.opened += 1

    def close(self) -> None:
        """It may be asked again."""
        self._failures = 0
        self.closed = True
