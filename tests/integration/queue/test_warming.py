"""A job has the cache hold what a tenant reads most, so that an API that was just started need not ask PostgreSQL."""

from __future__ import annotations

from service.services.jobs import WARM
from tests.integration.queue.conftest import Plant, until


def reads(plant: Plant, api: object) -> dict[str, float]:
    """What became of reads, as the metrics tell."""
    status, text, _ = api.get("/metrics", authorization="Bearer " + TOKEN)  # type: ignore[attr-defined]
    assert status == 200
    lines = [line for line in str(text).splitlines() if line.startswith("jeex_cache_reads_total")]
    return {line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2]) for line in lines}


TOKEN = "what-the-metrics-of-this-test-are-read-with"


def test_a_warm_cache_is_what_an_api_finds(plant: Plant) -> None:
    tenant = plant.tenant()
    plant.sql(f"INSERT INTO project (tenant_id, slug, name) SELECT '{tenant}', 'p' || n, 'P' FROM generate_series(1, 3) n")  # noqa: S608
    job = plant.enqueue(WARM)[0]
    worker = plant.worker(CACHE="on")
    until(lambda: plant.job(job, "status") == "done")
    assert plant.job(job, "message") == "warmed 5 values"  # two pages and three projects
    api = plant.api(REDIS_URL=plant.valkey.url, METRICS_TOKEN=TOKEN)
    client = plant.client(api)
    ids = plant.sql("SELECT id FROM project").splitlines()

    def found() -> set[str]:
        """What became of reads so far; nothing is counted before this process has met Redis."""
        assert [client.get(f"/projects/{one}").status for one in ids] == [200, 200, 200]
        return {labels.partition('result="')[2].partition('"')[0] for labels, count in reads(plant, api).items() if count}

    until(found)
    assert found() == {"hit"}
    assert worker.stop() == 0
