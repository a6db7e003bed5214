"""A tenant's keys, reached as one role of the database."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from service.adapters.database import Database
from service.core.errors import Unauthenticated
from service.core.settings import Secret
from service.services import authentication, keys
from service.services.keys import KeyView, NewKey
from service.services.tenants import NewTenant
from tests.integration.service.conftest import run
from tests.integration.service.servers import Postgres

T = TypeVar("T")


@dataclass(frozen=True)
class Door:
    """A tenant, reached as one role."""

    url: str
    made: NewTenant

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.made.tenant.id

    @property
    def user_id(self) -> uuid.UUID:
        return self.made.owner.id

    def do(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """`work` in a transaction of its own."""

        async def inside() -> T:
            async with Database(Secret(self.url)) as database, database.transaction(self.tenant_id) as session:
                return await work(session)

        found: T = run(inside())
        return found

    def create(self, name: str = "ci", *, expires_at: datetime | None = None, user_id: uuid.UUID | None = None) -> NewKey:
        who = user_id or self.user_id
        return self.do(lambda one: keys.create(one, tenant_id=self.tenant_id, user_id=who, name=name, expires_at=expires_at))

    def list(self, **asked: Any) -> list[KeyView]:
        return self.do(lambda one: keys.list_keys(one, tenant_id=self.tenant_id, **asked))

    def revoke(self, key_id: uuid.UUID, user_id: uuid.UUID | None = None) -> KeyView:
        return self.do(lambda one: keys.revoke(one, tenant_id=self.tenant_id, key_id=key_id, user_id=user_id))

    def matching(self, prefix: str, limit: int = 10) -> list[KeyView]:
        return self.do(lambda one: keys.matching(one, tenant_id=self.tenant_id, prefix=prefix, limit=limit))


def add_user(door: Door, postgres: Postgres, database: str, email: str, role: str = "member") -> uuid.UUID:
    bound = f"SET app.tenant_id = '{door.tenant_id}'; "
    return uuid.UUID(
        postgres.sql(
            f"{bound} INSERT INTO app_user (tenant_id, email, display_name, role) "  # noqa: S608 - the tests' own text
            f"VALUES ('{door.tenant_id}', '{email}', 'someone', '{role}') RETURNING id",
            user="jeex_admin",
            database=database,
        )
    )


def delete_user(door: Door, postgres: Postgres, database: str, user_id: uuid.UUID) -> None:
    postgres.sql(
        f"SET app.tenant_id = '{door.tenant_id}'; UPDATE app_user SET deleted_at = now() WHERE id = '{user_id}'",  # noqa: S608
        user="jeex_admin",
        database=database,
    )


def accepts(postgres: Postgres, database: str, key: Secret) -> bool:
    """Whether the API would take that key."""

    async def work() -> bool:
        claim = authentication.parse(key.reveal())
        async with Database(Secret(postgres.url("app", database))) as pool, pool.direct(claim.tenant_id) as driver:
            try:
                await authentication.by_key(driver, claim)
            except Unauthenticated:
                return False
            return True

    found: bool = run(work())
    return found
