"""The tests of isolation, tested: a lock is taken away, and the check that holds it says so, and for that reason.

Each check passes first, on the same database. What the catalogue tells is tested in the same way in test_catalogue.py.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.adapters import credentials, tenancy
from service.adapters import database as adapter
from service.adapters.database import Database
from service.adapters.repository import Repository
from service.core.errors import Unauthenticated
from service.core.settings import Secret
from service.services import authentication
from service.services.authentication import Claim
from tests.integration.service import test_tenancy as lock
from tests.integration.service.conftest import run
from tests.integration.service.isolation import play
from tests.integration.service.isolation_checks import Leak, World, binding_ends, repository_stays, reset
from tests.integration.service.isolation_run import Setup, walk
from tests.integration.service.isolation_ways import KINDS, On
from tests.integration.service.servers import Postgres

NOT_RAISED = (pytest.fail.Exception, "DID NOT RAISE")


@pytest.fixture(scope="module")
def name(postgres: Postgres) -> Iterator[str]:
    """One database for all that do not change its schema."""
    name = postgres.copy("mutations", "migrated")
    yield name
    postgres.drop(name)


@pytest.fixture
def url(postgres: Postgres, name: str) -> str:
    return postgres.url("postgres", name)


def every_step(postgres: Postgres, name: str, role: str = "app") -> None:
    """The steps of test_isolation.py, each once and in order."""
    run(walk(Setup(postgres.url(role, name), postgres.url("postgres", name))))


# --- row security ---

BOUND = "nullif(current_setting('app.tenant_id', true), '')::uuid"


@pytest.mark.parametrize(
    ("statement", "error", "reason"),
    [
        ("ALTER TABLE document DISABLE ROW LEVEL SECURITY", Leak, "document"),
        ("ALTER POLICY own_tenant ON document USING (true)", Leak, "document"),
        ("ALTER POLICY own_tenant ON app_user WITH CHECK (true)", Leak, "a row of app_user of another tenant was written"),
        ("DROP POLICY own_tenant ON project", AssertionError, "project: of 3 rows of the tenant's own, 0 were seen"),
        (f"ALTER POLICY own_tenant ON project USING (tenant_id = {BOUND})", Leak, "no tenant may ask for project"),
    ],
)
def test_row_security(postgres: Postgres, database: str, statement: str, error: type[Exception], reason: str) -> None:
    every_step(postgres, database)
    postgres.sql(statement, database=database)
    with pytest.raises(error, match=reason):
        every_step(postgres, database)


def test_a_role_that_row_security_does_not_bind(postgres: Postgres, name: str) -> None:
    """Whichever way the steps come about."""
    every_step(postgres, name)
    with pytest.raises(Leak):
        every_step(postgres, name, role="postgres")
    superuser = postgres.url("postgres", name)
    with pytest.raises(Leak):
        play(Setup(superuser, superuser), examples=3, steps=10)


# --- the binding ---


def test_a_tenant_that_is_not_bound(postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every_step(postgres, name)
    monkeypatch.setattr(adapter, "_bind", lambda _tenant: "")
    with pytest.raises((asyncpg.PostgresError, DBAPIError), match=r'unrecognized configuration parameter "app\.tenant_id"'):
        every_step(postgres, name)


def test_a_tenant_that_stays_bound(postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with world_of(postgres, name) as world, Database(Secret(postgres.url("app", name)), pool_size=1) as one:
            await binding_ends(one, next(iter(world)))

    run(check())
    bind = adapter._bind
    monkeypatch.setattr(adapter, "_bind", lambda tenant: bind(tenant).replace("SET LOCAL", "SET"))
    with pytest.raises(Leak, match="a transaction of no tenant may ask for document, and sees 6 rows"):
        run(check())
    with pytest.raises(Leak, match="a transaction of no tenant may ask for"):
        every_step(postgres, name)


@asynccontextmanager
async def world_of(postgres: Postgres, name: str) -> AsyncIterator[World]:
    control = await asyncpg.connect(postgres.url("postgres", name))
    try:
        yield await reset(control)
    finally:
        await control.close()


# --- the ORM ---


@pytest.mark.parametrize(
    "mutation",
    [
        (lock.test_what_is_read_is_the_tenants, "orm_entities", "_add_tenant", (Leak, "was seen by")),
        (lock.test_what_is_read_is_the_tenants, "orm_aggregate", "_add_tenant", (Leak, "was seen by")),
        (lock.test_what_is_changed_is_the_tenants, "orm_bulk_update", "_add_tenant", (AssertionError, "other rows")),
        (
            lock.test_a_row_of_another_tenant_is_as_one_that_does_not_exist,
            "orm_get",
            "_add_tenant",
            (AssertionError, "None"),
        ),
        (lock.test_without_a_tenant_nothing_is_sent, "select", "_add_tenant", (AssertionError, "SELECT project")),
        (lock.test_what_would_write_for_another_tenant_is_refused, "orm_add_bound", "_check_tenant", NOT_RAISED),
        (lock.test_what_would_write_for_another_tenant_is_refused, "orm_insert_bound", "_add_tenant", NOT_RAISED),
        (lock.test_what_would_write_for_another_tenant_is_refused, "orm_insert_values_bound", "_add_tenant", NOT_RAISED),
        (lock.test_an_object_stays_with_its_tenant, None, "_check_tenant", (DBAPIError, "UPDATE project SET tenant_id")),
    ],
)
@pytest.mark.parametrize("how", ["its listener is removed", "its class is a plain Session"])
def test_the_session(url: str, monkeypatch: pytest.MonkeyPatch, mutation: tuple[Any, Any, str, Any], how: str) -> None:
    check, way, hook, (error, reason) = mutation
    arguments = [url, *([way] if way else [])]
    check(*arguments)
    event_name = {"_add_tenant": "do_orm_execute", "_check_tenant": "before_flush"}[hook]
    listener = getattr(tenancy, hook)
    if how.endswith("Session"):
        monkeypatch.setattr(tenancy, "TenantSession", Session)
    else:
        event.remove(tenancy.TenantSession, event_name, listener)
    try:
        with pytest.raises(error, match=reason):
            check(*arguments)
    finally:
        if not how.endswith("Session"):
            event.listen(tenancy.TenantSession, event_name, listener)
    monkeypatch.undo()
    check(*arguments)


# --- statements that say the tenant themselves ---


@dataclass
class Loosened:
    """The driver, with statements that no longer ask for their tenant."""

    driver: asyncpg.Connection
    seen: int = 0

    def __getattr__(self, method: str) -> Any:
        async def send(statement: str, *values: Any) -> Any:
            loose = re.sub(r"\w*\.?tenant_id = \$1", "$1::uuid IS NOT NULL", statement)
            self.seen += loose != statement
            return await getattr(self.driver, method)(loose, *values)

        return send


class LooselyOn(On):
    def repository(self, table: str) -> Repository:
        return Repository(KINDS[table], Loosened(self.driver), self.tenant)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "kind", "holds"),
    [
        ("app", On, True),
        ("app", LooselyOn, True),  # row security holds
        ("postgres", On, True),  # the statements hold
        ("postgres", LooselyOn, False),
    ],
)
def test_a_repository_has_two_locks(postgres: Postgres, name: str, role: str, kind: type[On], holds: bool) -> None:
    async def work() -> None:
        async with world_of(postgres, name) as world, Database(Secret(postgres.url(role, name)), pool_size=1) as one:
            tenant = next(iter(world))
            async with one.direct(tenant) as driver:
                await repository_stays(world, kind(tenant, driver, rows=world[tenant]))

    if holds:
        run(work())
    else:
        with pytest.raises(Leak, match=r"of \w+ is of [0-9a-f-]+, said to be of [0-9a-f-]+"):
            run(work())


# --- API keys ---


async def keys_are_told_apart(postgres: Postgres, name: str, role: str) -> None:
    """A secret opens its own key and no other, neither of the same tenant nor of another."""
    url, claims = postgres.url("postgres", name), []
    async with world_of(postgres, name) as world:
        control = await asyncpg.connect(url)
        for tenant in list(world)[:2]:
            for user in list(world[tenant].tables["app_user"])[:2]:
                claim = Claim(tenant, uuid.uuid4(), Secret(authentication.new_secret()))
                claims.append(claim)
                await control.execute(
                    "INSERT INTO api_key (tenant_id, id, user_id, name, secret_hash) VALUES ($1, $2, $3, 'key', $4)",
                    *(tenant, claim.key_id, user, authentication.digest(claim.secret.reveal())),
                )
        await control.close()
    async with Database(Secret(postgres.url(role, name)), pool_size=1) as database:
        for key in claims:
            for secret in claims:
                for tenant in {one.tenant_id for one in claims}:
                    async with database.direct(tenant) as driver:
                        try:
                            found = await authentication.by_key(driver, Claim(tenant, key.key_id, secret.secret))
                        except Unauthenticated:
                            assert key is not secret or tenant != key.tenant_id
                        else:
                            if key is not secret or tenant != key.tenant_id:
                                raise Leak(f"a key was opened that the secret is not of: {found}")


@pytest.mark.parametrize(
    "mutation",
    [
        ("", "app", True),
        ("", "postgres", True),
        ("AND k.id = $2", "app", False),
        ("k.tenant_id = $1", "app", True),  # row security holds
        ("k.tenant_id = $1", "postgres", False),
    ],
)
def test_api_keys(postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch, mutation: tuple[str, str, bool]) -> None:
    gone, role, holds = mutation
    statement = credentials._KEY
    if gone:
        assert gone in statement
        kept = {"AND k.id = $2": "AND $2::uuid IS NOT NULL", "k.tenant_id = $1": "$1::uuid IS NOT NULL"}[gone]
        monkeypatch.setattr(credentials, "_KEY", statement.replace(gone, kept))
    if holds:
        run(keys_are_told_apart(postgres, name, role))
    else:
        with pytest.raises(Leak, match="a key was opened that the secret is not of"):
            run(keys_are_told_apart(postgres, name, role))
