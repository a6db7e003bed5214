"""What a runtime would run, and the copy from one such to another."""

from __future__ import annotations

from pathlib import Path

import redis

from jeex_cli.events import silent
from jeex_cli.ops import carry, carry_database, carry_redis
from jeex_cli.ops.carry import Saved, Stores
from migrations import runner
from service.services.tenants import NewTenant
from tests.integration.service.conftest import make_tenant
from tests.integration.service.servers import PG_BIN, SUPERUSER, Postgres, Valkey

MINUTE = 60.0


class Side:
    """A PostgreSQL and a Valkey, as one runtime would run them."""

    def __init__(self, folder: Path) -> None:
        self.postgres, self.valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
        self.postgres.create()
        self.postgres.start()
        self.valkey.start()
        self.redis = redis.Redis(port=self.valkey.port, password=self.valkey.password)

    @property
    def stores(self) -> Stores:
        return Stores(
            carry_database.Server(self.postgres.port, SUPERUSER, PG_BIN),
            carry_redis.Server(self.valkey.port, self.valkey.password),
        )

    def empty(self) -> None:
        """As bootstrap.sql makes it."""
        for name in carry_database.DATABASES:
            self.postgres.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", database="postgres")
        assert self.postgres.bootstrap().returncode == 0
        self.redis.flushall()

    def stop(self) -> None:
        self.redis.close()
        self.postgres.stop()
        self.valkey.stop()


def save(source: Side, folder: Path) -> Saved:
    with carry.saved(source.stores, folder, silent, timeout=MINUTE) as saved:
        return saved


def carried(source: Side, target: Side, folder: Path) -> Saved:
    saved = save(source, folder)
    assert carry.is_fresh(target.stores)
    carry.load(target.stores, folder, silent, timeout=MINUTE)
    carry.compare(target.stores, folder, saved.facts, silent)
    assert not carry.is_fresh(target.stores)
    return saved


def migrated(side: Side) -> NewTenant:
    """A tenant in a database at head, and something in Vault's storage."""
    runner.upgrade(side.postgres.url("owner"))
    side.postgres.sql(
        "CREATE TABLE openbao_kv_store (parent_path text, path text, key text, value bytea);"
        r"INSERT INTO openbao_kv_store VALUES ('/', '/sys/', 'x', '\x00ff01'), (NULL, '/', '', NULL)",
        user="jeex_vault",
        database="jeex_vault",
    )
    return make_tenant(side.postgres.url("admin"))
