"""How much there is to carry does not say how much memory it takes."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

from tests.integration.carry.sides import Side, carried, migrated


def test_memory_does_not_grow_with_what_is_carried(source: Side, target: Side, folder: Path) -> None:
    migrated(source)
    source.postgres.sql("INSERT INTO project (tenant_id, slug, name) SELECT id, 'one', 'One' FROM tenant")
    source.postgres.sql(
        "INSERT INTO document (tenant_id, project_id, path, title, content)"
        " SELECT p.tenant_id, p.id, 'a/' || n, 'Title ' || n, repeat('ä ' || n, 100)"
        " FROM project p, generate_series(1, 20000) AS n"
    )
    pipeline = source.redis.pipeline(transaction=False)
    for n in range(20_000):
        pipeline.set(f"key {n % 5000}", struct.pack(">q", n) * 60)
        pipeline.rpush("jobs", b"x" * 700)
        pipeline.hset("table", str(n), b"y" * 300)
        if n % 1000 == 0:
            pipeline.execute()
    pipeline.execute()
    source.redis.set("large", bytes(20_000_000))
    tracemalloc.start()
    try:
        saved = carried(source, target, folder)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert saved.facts["jeex: public.document"][0] == 20_000
    assert saved.keys == 5003
    assert most < 12_000_000, f"{most:,} bytes"
