"""Two API processes over one PostgreSQL and one Redis, as behind a load balancer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.integration.service.black_hole import BlackHole, black_hole
from tests.integration.service.client import Client
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres, Valkey

METRICS_TOKEN = "what-only-a-scraper-of-these-tests-has"


@dataclass
class Pair:
    """Two processes of one installation."""

    services: list[Service]
    postgres: Postgres
    database: str
    valkey: Valkey
    hole: BlackHole  # before the Redis of both

    def loads(self, table: str) -> int:
        """How often they have asked PostgreSQL for rows of that table, by its log."""
        return self.postgres.log.read_text().count(f" FROM {table} WHERE tenant_id = $1")


@dataclass
class Twins:
    """An owner of a tenant, at each of the two."""

    one: Client
    other: Client
    tenant: uuid.UUID
    pair: Pair

    def cached(self) -> int:
        """How many values Redis holds of the tenant's."""
        with redis.Redis.from_url(self.pair.valkey.url) as client:
            names: list[bytes] = client.keys(f"jeex:cache:{self.tenant.hex}:*")
        return sum(len(name.split(b":")) == 7 for name in names)


def ready(service: Service) -> int:
    """How often the process has found Redis to answer."""
    return sum(line["event"] == "cache.ready" for line in service.lines())


@contextmanager
def running_pair(postgres: Postgres, folder: Path) -> Iterator[Pair]:
    database = postgres.copy("twins", "migrated")
    postgres.sql("ALTER DATABASE twins SET log_statement = 'all'", database="postgres")
    valkey = Valkey(folder / "valkey")
    valkey.start()
    services: list[Service] = []
    with black_hole(valkey.port) as hole:
        settings = {
            "DATABASE_URL": postgres.url("app", database),
            "REDIS_URL": hole.redirected(valkey.url),
            "RATE_LIMIT": "0",
            "REDIS_TIMEOUT": "1",  # a busy machine is not an outage
            "METRICS_TOKEN": METRICS_TOKEN,
        }
        try:
            for name in ("one", "other"):
                services.append(Service("api", {**settings, "API_PORT": str(free_port())}, folder / f"{name}.log"))
                services[-1].start()
            for service in services:
                service.wait("/ready")
                until(lambda service=service: ready(service))
            yield Pair(services, postgres, database, valkey, hole)
        finally:
            for service in services:
                service.stop()
            valkey.stop()
            postgres.drop(database)
