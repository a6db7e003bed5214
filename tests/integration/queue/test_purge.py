"""What was deleted long enough ago is gone, and nothing else is."""

from __future__ import annotations

from tests.integration.queue.conftest import Plant, until

OLD = "now() - interval '31 days'"


def test_old_rows_go_and_young_ones_stay(plant: Plant) -> None:
    for slug in ("acme", "doomed", "recent"):
        tenant = plant.tenant(slug)
        plant.sql(
            f"""
            INSERT INTO project (tenant_id, slug, name, deleted_at) VALUES ('{tenant}', 'live', 'live', NULL),
              ('{tenant}', 'old', 'old', {OLD}), ('{tenant}', 'young', 'young', now() - interval '29 days');
            INSERT INTO document (tenant_id, project_id, path, title, deleted_at)
            SELECT tenant_id, id, 'd' || n, name || n, CASE WHEN n <= 600 THEN {OLD} END
              FROM project, generate_series(1, 602) AS n WHERE tenant_id = '{tenant}' AND slug <> 'old';
            INSERT INTO document (tenant_id, project_id, path, title)
            SELECT tenant_id, id, 'with-it', 'with it' FROM project WHERE tenant_id = '{tenant}' AND slug = 'old';
            INSERT INTO app_user (tenant_id, email, display_name, deleted_at) VALUES ('{tenant}', 'b@x.example', 'B', {OLD});
            INSERT INTO job (tenant_id, kind, status, finished_at) VALUES
              ('{tenant}', 'k', 'done', now() - interval '8 days'),
              ('{tenant}', 'k', 'done', now() - interval '6 days');
            """  # noqa: S608
        )
    plant.sql(f"UPDATE tenant SET deleted_at = {OLD} WHERE slug = 'doomed'")  # noqa: S608
    plant.sql("UPDATE tenant SET deleted_at = now() - interval '29 days' WHERE slug = 'recent'")
    plant.enqueue("purge")
    one = plant.worker()
    plant.finished()
    until(lambda: one.says("tenant.purged"))
    assert plant.sql("SELECT slug FROM tenant ORDER BY 1") == "acme\nrecent"
    acme = f"tenant_id = '{plant.tenant()}'"
    assert plant.sql(f"SELECT slug FROM project WHERE {acme} ORDER BY 1") == "live\nyoung"  # noqa: S608
    assert plant.sql(f"SELECT count(*), count(deleted_at) FROM document WHERE {acme}") == "4|0"  # noqa: S608
    assert plant.sql(f"SELECT email FROM app_user WHERE {acme}") == "alice@acme.example"  # noqa: S608
    told = "purged 1200 documents, 1 projects, 1 users, 1 jobs"
    assert plant.sql(f"SELECT message FROM job WHERE {acme} AND kind = 'purge'") == told  # noqa: S608
    recent = f"tenant_id = '{plant.tenant('recent')}'"
    assert plant.sql(f"SELECT count(*) FROM project WHERE {recent}") == "3"  # noqa: S608
