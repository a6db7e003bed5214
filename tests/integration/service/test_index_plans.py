"""Every index is there for a query that the service sends, and PostgreSQL answers that query by it, under row security.

Under row security only leakproof operators become index conditions: hence the conditions are looked at, not just the name.
No planner setting is touched but the one that lists have in service, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping

import pytest

from service.adapters import credentials, documents, due_jobs, idempotency, job_leases, jobs, keys, old_rows, owners
from service.adapters.kinds import DOCUMENT, PROJECT, TENANT, USER, Kind
from service.models import Base, comments
from tests.integration.service.conftest import run
from tests.integration.service.plans import Asking, Listed, Query, plans_of, seeded
from tests.integration.service.servers import Postgres

DATABASE = "plans"
TABLES = {table.name: comments.comments(table) for table in Base.metadata.sorted_tables}
INDEXES = {index: serves for found in TABLES.values() for index, serves in found.items()}


@pytest.fixture(scope="module")
def tenant(postgres: Postgres) -> Iterator[uuid.UUID]:
    found = seeded(postgres, DATABASE)
    yield found
    postgres.drop(DATABASE)


# The project of most documents, and who made most.
LARGE = "project_id FROM document GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
MAKER = "created_by FROM document GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"


def purged(kind: Kind) -> Callable[[Asking], Awaitable[object]]:
    async def work(ask: Asking) -> None:
        gone = await ask.one(f"SELECT id FROM {kind.table} WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 1")  # noqa: S608
        await ask.rows(kind).purge(gone)

    return work


async def _claimed(ask: Asking) -> None:
    user = await ask.one("SELECT user_id FROM idempotent_request LIMIT 1")
    await idempotency.claim(ask.driver, ask.tenant, user, "key", b"x" * 32)


async def _key(ask: Asking) -> None:
    await credentials.key(ask.driver, ask.tenant, await ask.one("SELECT id FROM api_key LIMIT 1"))


async def _keys_of_user(ask: Asking) -> None:
    user = await ask.one("SELECT user_id FROM api_key LIMIT 1")
    await keys.page(ask.session, ask.tenant, user_id=user, include_revoked=True, after=None, limit=51)


async def _keys(ask: Asking) -> None:
    after = await ask.one("SELECT id FROM api_key WHERE revoked_at IS NULL ORDER BY id OFFSET 500 LIMIT 1")
    for start in (None, after):
        await keys.page(ask.session, ask.tenant, user_id=None, include_revoked=False, after=start, limit=51)


async def _expiring(ask: Asking) -> None:
    await ask.driver.fetch(
        "SELECT id, expires_at FROM api_key WHERE tenant_id = $1 AND revoked_at IS NULL "
        "AND expires_at < now() + interval '7 days' ORDER BY expires_at, id LIMIT 51",
        ask.tenant,
    )


async def _restored(ask: Asking) -> None:
    project = await ask.one(f"SELECT {LARGE}")
    when = await ask.one("SELECT deleted_at FROM document WHERE deleted_at IS NOT NULL LIMIT 1")
    await documents.restore_with(ask.driver, ask.tenant, project, when)


def _of_job(work: Callable[[Asking, uuid.UUID], Awaitable[object]]) -> Callable[[Asking], Awaitable[None]]:
    async def ask_for(ask: Asking) -> None:
        await work(ask, await ask.one("SELECT id FROM job WHERE status = 'queued' ORDER BY id LIMIT 1"))

    return ask_for


async def _chosen(ask: Asking) -> None:
    assert await due_jobs.choose(ask.driver, per_tenant=4, again=15, limit=16)


async def _jobs(ask: Asking) -> None:
    for descending in (False, True):
        page = await jobs.page(ask.driver, ask.tenant, limit=20, descending=descending)
        assert page.last is not None
        await jobs.page(ask.driver, ask.tenant, limit=20, descending=descending, after=page.last[1])


QUERIES: Mapping[str, tuple[Query | Listed, ...]] = {
    "pk_tenant": (Query(_key, ("id",)), Query(purged(TENANT), ("id",), "FOR UPDATE", role="admin")),
    "uq_tenant_slug": (
        Query(lambda ask: credentials.tenant_id_of(ask.driver, "t-7"), ("slug",), role="admin"),
        Listed(TENANT, "slug", role="admin"),
    ),
    "ix_tenant_name": (Listed(TENANT, "name", role="admin"),),
    "ix_tenant_updated_at": (Listed(TENANT, "updated_at", role="admin"),),
    "ix_tenant_status": (Listed(TENANT, filters={"status": "'suspended'"}, ordered=False, role="admin"),),
    "ix_tenant_deleted_at": (Listed(TENANT, deleted=True, ordered=False, role="admin"),),
    "pk_app_user": (Query(purged(USER), ("tenant_id", "id"), "FOR UPDATE"),),
    "uq_app_user_tenant_id_email_norm": (
        Query(
            lambda ask: credentials.user_by_email(ask.driver, ask.tenant, "USER1999@x.example"), ("tenant_id", "email_norm")
        ),
        Listed(USER, filters={"email": "'user1999@x.example'"}, ordered=False),
        Listed(USER, "email"),
    ),
    "uq_app_user_tenant_id_username": (Listed(USER, filters={"username": "'user1999'"}, ordered=False),),
    "ix_app_user_tenant_id_id": (Listed(USER),),
    "ix_app_user_tenant_id_role": (
        Query(lambda ask: owners.locked(ask.driver, ask.tenant), ("tenant_id", "role")),
        Listed(USER, filters={"role": "'viewer'"}, ordered=False),
    ),
    "ix_app_user_tenant_id_display_name": (Listed(USER, "display_name"),),
    "ix_app_user_tenant_id_updated_at": (Listed(USER, "updated_at"),),
    "ix_app_user_tenant_id_deleted_at": (Listed(USER, deleted=True, ordered=False),),
    "pk_api_key": (Query(_key, ("tenant_id", "id")),),
    "ix_api_key_tenant_id_user_id": (
        Query(_keys_of_user, ("tenant_id", "user_id")),
        Query(purged(USER), ("tenant_id", "user_id"), 'DELETE FROM ONLY "public"."api_key"'),
    ),
    "ix_api_key_tenant_id_id": (Query(_keys, ("tenant_id",)),),
    "ix_api_key_tenant_id_expires_at": (Query(_expiring, ("tenant_id", "expires_at")),),
    "pk_idempotent_request": (
        Query(_claimed, ("tenant_id", "user_id", "key"), "SELECT fingerprint"),
        Query(purged(USER), ("tenant_id", "user_id"), 'DELETE FROM ONLY "public"."idempotent_request"'),
    ),
    "ix_idempotent_request_tenant_id_created_at": (Query(_claimed, ("tenant_id", "created_at"), "DELETE"),),
    "pk_project": (Query(purged(PROJECT), ("tenant_id", "id"), "FOR UPDATE"),),
    "uq_project_tenant_id_slug": (Listed(PROJECT, filters={"slug": "'p-999'"}, ordered=False), Listed(PROJECT, "slug")),
    "ix_project_tenant_id_id": (Listed(PROJECT),),
    "ix_project_tenant_id_name": (Listed(PROJECT, "name"),),
    "ix_project_tenant_id_updated_at": (Listed(PROJECT, "updated_at"),),
    "ix_project_tenant_id_status": (Listed(PROJECT, filters={"status": "'archived'"}, ordered=False),),
    "ix_project_tenant_id_created_by": (
        Listed(PROJECT, filters={"created_by": MAKER}, ordered=False),
        Query(purged(USER), ("tenant_id", "created_by"), 'UPDATE ONLY "public"."project"'),
    ),
    "ix_project_tenant_id_deleted_at": (Listed(PROJECT, deleted=True, ordered=False),),
    "pk_document": (Query(purged(DOCUMENT), ("tenant_id", "id"), "FOR UPDATE"),),
    "uq_document_tenant_id_project_id_path": (
        Listed(DOCUMENT, filters={"project_id": LARGE, "path": "'d0/n4000'"}, ordered=False),
        Listed(DOCUMENT, filters={"project_id": LARGE, "below": "'d0/'"}, ordered=False),
        Listed(DOCUMENT, "path", filters={"project_id": LARGE}),
    ),
    "ix_document_tenant_id_project_id_id": (
        Listed(DOCUMENT, filters={"project_id": LARGE}),
        Query(purged(PROJECT), ("tenant_id", "project_id"), 'DELETE FROM ONLY "public"."document"'),
    ),
    "ix_document_tenant_id_project_id_title": (Listed(DOCUMENT, "title", filters={"project_id": LARGE}),),
    "ix_document_tenant_id_project_id_updated_at": (Listed(DOCUMENT, "updated_at", filters={"project_id": LARGE}),),
    "ix_document_tenant_id_project_id_status": (
        Listed(DOCUMENT, filters={"project_id": LARGE, "status": "'published'"}),
        Listed(DOCUMENT, filters={"project_id": LARGE, "status": "'archived'"}, ordered=False),
    ),
    "ix_document_tenant_id_project_id_deleted_at": (
        Query(_restored, ("tenant_id", "project_id", "deleted_at"), "UPDATE document"),
        Listed(DOCUMENT, filters={"project_id": LARGE}, deleted=True),
    ),
    "ix_document_tenant_id_id": (Listed(DOCUMENT),),
    "ix_document_tenant_id_updated_at": (Listed(DOCUMENT, "updated_at"),),
    "ix_document_tenant_id_type": (Listed(DOCUMENT, filters={"type": "'json'"}),),
    "ix_document_tenant_id_slug": (Listed(DOCUMENT, filters={"slug": "'n4000'"}, ordered=False),),
    "ix_document_tenant_id_created_by": (
        Listed(DOCUMENT, filters={"created_by": MAKER}, ordered=False),
        Query(purged(USER), ("tenant_id", "created_by"), 'UPDATE ONLY "public"."document"'),
    ),
    "ix_document_tenant_id_deleted_at": (Listed(DOCUMENT, deleted=True),),
    "pk_job": (
        Query(_of_job(lambda ask, one: jobs.get(ask.driver, ask.tenant, one)), ("tenant_id", "id"), "json_build_object"),
        Query(
            _of_job(lambda ask, one: job_leases.take(ask.driver, ask.tenant, one, 0, lease=30)),
            ("tenant_id", "id"),
            "WITH whose",
        ),
        Query(_jobs, ("tenant_id",)),
    ),
    "ix_job_tenant_id_status": (
        Query(
            lambda ask: jobs.page(ask.driver, ask.tenant, limit=20, descending=True, status="dead"), ("tenant_id", "status")
        ),
    ),
    "uq_job_tenant_id_kind_unique_key": (
        Query(lambda ask: jobs.unfinished(ask.driver, ask.tenant, "purge", "k-20"), ("tenant_id", "kind", "unique_key")),
    ),
    "ix_job_tenant_id_finished_at": (
        Query(
            lambda ask: old_rows.forget_jobs(ask.driver, ask.tenant, 7 * 86_400),
            ("tenant_id", "finished_at"),
            "DELETE FROM job ",
        ),
    ),
    "pk_job_due": (
        Query(_of_job(lambda ask, one: jobs.cancel(ask.driver, ask.tenant, one)), ("tenant_id", "job_id"), "WITH changed"),
    ),
    "ix_job_due_tenant_id_run_at": (Query(_chosen, ("tenant_id", "run_at"), "WITH RECURSIVE", role="admin"),),
    "ix_job_due_tenant_id_stage": (Query(_chosen, ("tenant_id",), "WITH RECURSIVE", role="admin"),),
    "pk_job_result": (
        Query(
            lambda ask: old_rows.forget_jobs(ask.driver, ask.tenant, 7 * 86_400),
            ("tenant_id", "job_id"),
            'DELETE FROM ONLY "public"."job_result"',
        ),
    ),
}


def test_every_index_has_a_query_and_says_which(postgres: Postgres, tenant: uuid.UUID) -> None:
    found = postgres.sql(
        "SELECT indexrelid::regclass, obj_description(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid "
        "WHERE relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' AND indisvalid",
        database=DATABASE,
    )
    said = dict(line.split("|", 1) for line in found.splitlines())
    assert said == INDEXES
    assert set(said) == set(QUERIES)


@pytest.mark.parametrize("kind", [TENANT, USER, PROJECT, DOCUMENT], ids=lambda kind: kind.name)
def test_every_order_and_filter_of_the_api_is_among_them(kind: Kind) -> None:
    lists = [one for found in QUERIES.values() for one in found if isinstance(one, Listed) and one.kind == kind]
    assert {one.sort for one in lists} == set(kind.sorts)
    assert {name for one in lists for name in one.filters or ()} == {*kind.filters, *kind.prefixes}


@pytest.mark.parametrize("index", QUERIES)
def test_the_query_is_answered_by_its_index(postgres: Postgres, tenant: uuid.UUID, index: str) -> None:
    for query in QUERIES[index]:
        plans = run(plans_of(postgres.url(query.role, DATABASE), tenant, query.work))
        query.check(index, plans)


def test_what_is_not_leakproof_is_no_index_condition(postgres: Postgres, tenant: uuid.UUID) -> None:
    """Why an address has a column of its own in lower case; and that these plans are those of row security."""
    explain = "EXPLAIN SELECT id FROM app_user WHERE tenant_id = '{0}' AND lower(email) = 'user7@x.example'"
    lines = {
        role: postgres.sql(
            "BEGIN; CREATE INDEX by_lower ON app_user (tenant_id, lower(email)); ANALYZE app_user;"
            f"SET LOCAL app.tenant_id = '{tenant}'; SET LOCAL ROLE {role}; {explain.format(tenant)}; ROLLBACK",
            database=DATABASE,
        )
        for role in ("postgres", "jeex_app")
    }
    conditions = {
        role: [line for line in plan.splitlines() if "Index Cond" in line and "lower" in line]
        for role, plan in lines.items()
    }
    assert conditions["postgres"] and not conditions["jeex_app"], lines


@pytest.mark.parametrize(
    ("change", "index"),
    [
        ("DROP INDEX ix_project_tenant_id_name", "ix_project_tenant_id_name"),
        ("ALTER FUNCTION texteq(text, text) NOT LEAKPROOF", "ix_document_tenant_id_type"),
        ("DROP POLICY own_tenant ON document", "ix_document_tenant_id_updated_at"),
    ],
)
def test_an_index_that_does_not_answer_is_noticed(postgres: Postgres, tenant: uuid.UUID, change: str, index: str) -> None:
    (query,) = QUERIES[index]

    async def work(ask: Asking) -> None:
        await ask.driver.execute(f"{change}; SET LOCAL ROLE jeex_app")
        await query.work(ask)

    with pytest.raises(AssertionError):
        query.check(index, run(plans_of(postgres.url("postgres", DATABASE), tenant, work)))
