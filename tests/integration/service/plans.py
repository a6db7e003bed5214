"""How PostgreSQL carries out what the service sends: the plans, as auto_explain tells them to the connection itself."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from service.adapters.database import Database, driver_of
from service.adapters.kinds import Kind
from service.adapters.repository import Asked, Repository, Statements
from service.core.settings import Secret
from tests.integration.service.servers import Postgres

# Tenant t-0 has ten times as much as each of nine others, and one project has a quarter of its documents. The oldest third
# of everything is deleted, as with whoever clears up: a list from the oldest must not begin by stepping over it.
SEED = """
SET session_replication_role = replica;
SELECT setseed(0.5);
INSERT INTO tenant (slug, name, status, updated_at, deleted_at)
SELECT 't-' || n, md5('name' || n), CASE WHEN n % 50 = 0 THEN 'suspended' ELSE 'active' END,
       now() - random() * interval '1 year', CASE WHEN n > 1400 THEN now() - random() * interval '1 year' END
  FROM generate_series(0, 1499) AS n;
CREATE TEMP TABLE part AS
SELECT id AS tenant_id, CASE slug WHEN 't-0' THEN 1.0 ELSE 0.1 END AS share FROM tenant WHERE slug ~ '^t-[0-9]$';

INSERT INTO app_user (tenant_id, email, username, display_name, role, updated_at, deleted_at)
SELECT tenant_id, 'User' || n || '@x.example', 'user' || n, md5('name' || n),
       CASE WHEN n % 100 = 0 THEN 'owner' WHEN n % 10 = 0 THEN 'viewer' ELSE 'member' END,
       now() - random() * interval '1 year', CASE WHEN n < 600 * share THEN now() - random() * interval '1 year' END
  FROM part, generate_series(1, (2000 * share)::int) AS n;
INSERT INTO api_key (tenant_id, user_id, name, secret_hash, expires_at, revoked_at)
SELECT tenant_id, id, 'key', sha256(email::bytea),
       CASE WHEN n = 3 THEN now() + random() * interval '1 year' END, CASE WHEN n = 1 THEN now() END
  FROM generate_series(1, 3) AS n, app_user;
INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint, created_at)
SELECT tenant_id, id, 'key', sha256(email::bytea), now() - random() * interval '25 hours' FROM app_user;

ALTER TABLE part ADD users uuid[], ADD projects uuid[];
UPDATE part p SET users = (SELECT array_agg(id) FROM app_user u WHERE u.tenant_id = p.tenant_id);
INSERT INTO project (tenant_id, slug, name, status, created_by, updated_at, deleted_at)
SELECT tenant_id, 'p-' || n, md5('name' || n), CASE WHEN n % 20 = 0 THEN 'archived' ELSE 'active' END,
       users[1 + n % 50], now() - random() * interval '1 year',
       CASE WHEN n < 300 * share THEN now() - random() * interval '1 year' END
  FROM part, generate_series(1, (1000 * share)::int) AS n;
UPDATE part p SET projects = (SELECT array_agg(id ORDER BY id DESC) FROM project j WHERE j.tenant_id = p.tenant_id);
INSERT INTO document (tenant_id, project_id, path, title, type, status, created_by, updated_at, deleted_at)
SELECT tenant_id, projects[CASE WHEN n % 4 = 0 THEN 1 ELSE 2 + n % (cardinality(projects) - 1) END],
       'd' || n % 40 || '/n' || n, md5('title' || n),
       (ARRAY['json', 'html', 'text', 'text', 'markdown', 'markdown', 'markdown', 'markdown'])[1 + n % 8],
       CASE WHEN n % 32 = 0 THEN 'archived' WHEN n % 3 = 0 THEN 'draft' ELSE 'published' END,
       users[1 + n % 50], now() - random() * interval '1 year',
       CASE WHEN n < 2400 * share THEN now() - random() * interval '1 year' END
  FROM part, generate_series(1, (8000 * share)::int) AS n;
INSERT INTO job (tenant_id, kind, status, unique_key, lease_token, finished_at)
SELECT tenant_id, 'purge', was, CASE WHEN n % 2 = 0 THEN 'k-' || n END, CASE was WHEN 'running' THEN gen_random_uuid() END,
       CASE WHEN was IN ('done', 'dead') THEN now() - random() * interval '8 days' END
  FROM part, generate_series(1, (6000 * share)::int) AS n, LATERAL (SELECT CASE WHEN n % 4 = 0 THEN 'queued'
       WHEN n % 100 = 1 THEN 'running' WHEN n % 50 = 2 THEN 'dead' ELSE 'done' END AS was) AS s;
INSERT INTO job_due (tenant_id, job_id, stage, run_at)
SELECT tenant_id, id, CASE status WHEN 'running' THEN 'running' ELSE 'waiting' END,
       now() + (random() - 0.2) * interval '1 day'
  FROM job WHERE finished_at IS NULL;
INSERT INTO job_result (tenant_id, job_id, part, bytes)
SELECT tenant_id, id, n, 'PK' FROM job, generate_series(0, 1) AS n WHERE status = 'done';
SET session_replication_role = origin;
ANALYZE;
"""

# Of one database: its connections load the module and are told the plan of each statement, those of foreign keys included.
TOLD = """
ALTER DATABASE {0} SET session_preload_libraries = 'auto_explain';
ALTER DATABASE {0} SET auto_explain.log_min_duration = 0;
ALTER DATABASE {0} SET auto_explain.log_format = 'json';
ALTER DATABASE {0} SET auto_explain.log_nested_statements = on;
ALTER DATABASE {0} SET client_min_messages = 'log';
"""


class Undone(Exception):
    """Ends a transaction without leaving anything."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one statement does: its indexes with their conditions, and whether it reads or sorts a table as a whole."""

    statement: str
    indexes: Mapping[str, str]
    kinds: frozenset[str]
    text: str

    @classmethod
    def of(cls, told: str) -> Plan:
        """From a message of auto_explain."""
        content = json.loads(told.split("plan:\n", 1)[1])
        steps = list(_steps(content["Plan"]))
        return cls(
            content["Query Text"],
            {one["Index Name"]: one.get("Index Cond", "") for one in steps if "Index Name" in one},
            frozenset(one["Node Type"] for one in steps),
            json.dumps(content, indent=1),
        )


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)


@dataclass
class Asking:
    """One transaction of one role, bound to the tenant that is asked about; what is sent through it is in `plans`."""

    tenant: uuid.UUID
    session: AsyncSession
    driver: asyncpg.Connection
    plans: list[Plan]

    def rows(self, kind: Kind) -> Repository:
        return Repository(Statements(kind), self.driver, self.tenant if kind.of_tenant else None)

    async def one(self, query: str) -> Any:
        """A value to ask with. This is no query of the service's, so its plan is forgotten."""
        found = await self.driver.fetchval(query)
        await self.told()
        self.plans.clear()
        return found

    async def told(self) -> None:
        """Wait for the last plan: it is told when its statement is done with, and that is when the next begins."""
        await self.driver.execute("SHOW timezone")
        await asyncio.sleep(0)


async def plans_of(url: str, tenant: uuid.UUID, work: Callable[[Asking], Awaitable[object]]) -> list[Plan]:
    """The plans of what `work` sends, as the role of `url`. Nothing of it stays."""
    plans: list[Plan] = []

    def told(_connection: object, message: asyncpg.PostgresLogMessage) -> None:
        if "plan:" in message.message:
            plans.append(Plan.of(message.message))

    async with Database(Secret(url)) as database:
        with suppress(Undone):
            async with database.transaction(tenant) as session:
                driver = await driver_of(session)
                await driver.execute("SET LOCAL plan_cache_mode = force_custom_plan")  # as for lists
                driver.add_log_listener(told)
                asking = Asking(tenant, session, driver, plans)
                await work(asking)
                await asking.told()
                driver.remove_log_listener(told)
                raise Undone
    return plans


def seeded(postgres: Postgres, name: str) -> uuid.UUID:
    """Make a database that tells its plans; the tenant with the most."""
    postgres.copy(name, "migrated")
    postgres.sql(SEED, database=name)
    postgres.sql(TOLD.format(name), database=name)
    return uuid.UUID(postgres.sql("SELECT id FROM tenant WHERE slug = 't-0'", database=name))


def over(column: str, condition: str) -> bool:
    """Whether an index condition is over a column."""
    return re.search(rf"\b{column}\b", condition) is not None


@dataclass(frozen=True)
class Query:
    """`work` sends statements; of those that contain `statement`, each reads the index with a condition over `columns`."""

    work: Callable[[Asking], Awaitable[object]]
    columns: tuple[str, ...]
    statement: str = ""
    role: str = "app"

    def check(self, index: str, plans: list[Plan]) -> None:
        meant = [plan for plan in plans if self.statement in plan.statement]
        assert meant, [plan.statement for plan in plans]
        for plan in meant:
            assert index in plan.indexes, plan.text
            for column in self.columns:
                assert over(column, plan.indexes[index]), plan.text


@dataclass(frozen=True)
class Listed:
    """A list in both directions and its second page, each read from the index, in its order if `ordered`."""

    kind: Kind
    sort: str = "created_at"
    filters: Mapping[str, str] | None = None  # by the API's names, values as SQL
    deleted: bool = False
    ordered: bool = True
    role: str = "app"

    async def work(self, ask: Asking) -> None:
        values = {name: await ask.one(f"SELECT {sql}") for name, sql in (self.filters or {}).items()}
        for descending in (False, True):
            asked = Asked(sort=self.sort, descending=descending, deleted=self.deleted, filters=values)
            rows = ask.rows(self.kind)
            page = await rows.page(asked)
            assert page.items
            if page.last is not None:
                await rows.page(replace(asked, after=page.last))

    def check(self, index: str, plans: list[Plan]) -> None:
        columns = [{**self.kind.filters, **self.kind.prefixes}[name] for name in self.filters or ()]
        sort = "deleted_at" if self.deleted else self.kind.sorts[self.sort]
        assert plans
        for plan in plans:
            assert index in plan.indexes, plan.text
            condition = plan.indexes[index]
            for column in (*(["tenant_id"] if self.kind.of_tenant else ()), *columns):
                assert over(column, condition), plan.text
            if self.ordered:
                assert "Sort" not in plan.kinds, plan.text
                assert over(sort, condition) == (" > " in plan.statement or " < " in plan.statement), plan.text
