"""What Prometheus is told: requests by route, connections, the cache, our way into Vault, the queue, the process itself.

No label holds what a client can make up: a route is its template, a method one of a few, and no tenant is named. What is
counted elsewhere anyway (pools, cache, session) is asked when somebody scrapes, not at each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from service.adapters.cache import Cache
from service.adapters.database import Database
from service.adapters.vault_session import VaultSession
from service.core.errors import Unavailable

CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATIENCE = 1.0  # seconds that the queue may take to say how long it is
_HITS, _READS = ("hit", "absent"), ("hit", "absent", "miss", "stale", "bypass")


class QueueDepth(Protocol):
    """Who knows how many jobs there are."""

    async def depth(self) -> Mapping[str, int]:
        """Jobs of all tenants, by status. Raises Unavailable."""


class Metrics:
    """A registry of its own: a process may have several, and tests do."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "jeex_http_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "jeex_http_request_seconds",
            "From the head of a request to the end of its answer",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._jobs = Gauge("jeex_queue_jobs", "Jobs by status", ("status",), registry=self.registry)
        # To look a child up by its labels takes longer than to count.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.queue: QueueDepth | None = None

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered. `route` is a template, never a path."""
        found = self._known.get((method, route, status))
        if found is None:
            name = method if method in _METHODS else "other"
            found = self._requests.labels(name, route, str(status)), self._seconds.labels(name, route)
            if name == method:
                self._known[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def watch(self, what: Callable[[], Iterable[Metric]]) -> None:
        """Ask `what` at each scrape."""
        self.registry.register(_Asked(what))

    async def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if self.queue is not None:
            self._jobs.clear()  # what cannot be asked is not told as it was
            try:
                async with asyncio.timeout(_PATIENCE):
                    for status, count in (await self.queue.depth()).items():
                        self._jobs.labels(status).set(count)
            except (Unavailable, TimeoutError):
                self._jobs.clear()
        return generate_latest(self.registry)


class _Asked(Collector):
    def __init__(self, what: Callable[[], Iterable[Metric]]) -> None:
        self._what = what

    def collect(self) -> Iterable[Metric]:
        return self._what()

    def describe(self) -> Iterable[Metric]:
        return ()


def of_pools(pools: Mapping[str, Database]) -> Callable[[], Iterable[Metric]]:
    """Connections to PostgreSQL, by role."""

    def collect() -> Iterable[Metric]:
        found = GaugeMetricFamily("jeex_db_connections", "Connections to PostgreSQL", labels=("pool", "state"))
        most = GaugeMetricFamily("jeex_db_connections_max", "Connections that there may be", labels=("pool",))
        for name, database in pools.items():
            usage = database.usage
            found.add_metric((name, "in_use"), usage.in_use)
            found.add_metric((name, "idle"), usage.made - usage.in_use)
            most.add_metric((name,), usage.most)
        return found, most

    return collect


def of_cache(cache: Cache) -> Callable[[], Iterable[Metric]]:
    """What became of reads, and whether Redis is asked at all."""

    def collect() -> Iterable[Metric]:
        counts, tables = cache.counts, sorted({table for table, _ in cache.counts.reads})
        reads = CounterMetricFamily("jeex_cache_reads", "Reads, by what became of them", labels=("table", "result"))
        ratio = GaugeMetricFamily("jeex_cache_hit_ratio", "Share of reads since the start that no query was needed for")
        for table in tables:
            for result in _READS:
                reads.add_metric((table, result), counts.reads.get((table, result), 0))
        total = sum(counts.reads.values())
        hits = sum(count for (_, result), count in counts.reads.items() if result in _HITS)
        ratio.add_metric((), hits / total if total else 0.0)
        counted = {
            "loads": ("Values read from PostgreSQL for the cache", counts.loads),
            "renewals": ("Of these, before the one at hand had ended", counts.renewals),
            "stored": ("Values stored", counts.stored),
            "refused": ("Values not stored: too large, or no room", counts.refused),
            "breaker_opened": ("How often Redis was given up", cache.opened),
        }
        open_ = GaugeMetricFamily("jeex_cache_breaker_open", "1 while Redis is not asked", value=not cache.usable)
        more = [CounterMetricFamily(f"jeex_cache_{name}", text, value=count) for name, (text, count) in counted.items()]
        return reads, ratio, open_, *more

    return collect


def of_vault(session: VaultSession) -> Callable[[], Iterable[Metric]]:
    """How long our way into Vault is good for."""

    def collect() -> Iterable[Metric]:
        left = session.token[0] if session.token is not None else 0.0
        return (
            GaugeMetricFamily("jeex_vault_token_seconds", "That our token is still good for; 0 without one", value=left),
            CounterMetricFamily("jeex_vault_sign_ins", "How often this process signed in", value=session.signed_in),
        )

    return collect
