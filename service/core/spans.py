"""Where time is measured for traces: a seam, so that nothing of OpenTelemetry is imported where nobody asked for it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Spans(Protocol):
    """Marks a piece of work of the request or job that is under way."""

    def span(self, name: str, **attributes: str) -> AbstractContextManager[None]:
        """Work of that name, from `with` to its end."""


class _NoSpans:
    """Nobody asked for traces."""

    _nothing = nullcontext()

    def span(self, name: str, **attributes: str) -> AbstractContextManager[None]:
        """Costs next to nothing, and does nothing."""
        return self._nothing


NO_SPANS: Spans = _NoSpans()
