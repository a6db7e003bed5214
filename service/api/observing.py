"""What is told of each request once it is over, besides its line in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import Scope

from service.adapters.metrics import Metrics
from service.api.edge import RequestInfo

if TYPE_CHECKING:
    from service.adapters.traces import Traces

_SPAN = "jeex.span"
_UNMATCHED = "unmatched"


class Counting:
    """Counts requests, by route: never by path."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def began(self, scope: Scope, info: RequestInfo) -> None:
        """Nothing to count yet."""

    def ended(self, scope: Scope, info: RequestInfo, status: int, seconds: float) -> None:
        """One more request."""
        self._metrics.request(scope["method"], template(scope), status, seconds)


class Tracing:
    """A span for each request, with the ids that its log lines have."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def began(self, scope: Scope, info: RequestInfo) -> None:
        """What the request does belongs to its span from now on."""
        scope[_SPAN] = self._traces.begin(
            str(scope["method"]),
            trace_id=info.trace_id,
            span_id=info.span_id,
            parent_id=info.parent_id,
            sampled=bool(int(info.flags, 16) & 1),
        )

    def ended(self, scope: Scope, info: RequestInfo, status: int, seconds: float) -> None:
        """Its name is the route's: that is known only now."""
        route, method = template(scope), str(scope["method"])
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "jeex.request_id": info.request_id,
        }
        if info.tenant:
            attributes["jeex.tenant"] = info.tenant
        scope[_SPAN].end(f"{method} {route}", attributes, failed=status >= 500)


def template(scope: Scope) -> str:
    """The route of a request as the application knows it, such as /api/v1/projects/{project_id}."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    return str(scope.get("root_path") or _UNMATCHED)  # what is mounted: static files
