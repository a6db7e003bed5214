"""Tenant administration, as jeex calls it."""

from __future__ import annotations

import hashlib

import pytest

from service.adapters.database import Database
from service.core.errors import Conflict, InvalidInput, NotFound
from service.core.settings import Secret
from service.services import tenants
from service.services.tenants import TenantDetail, TenantView
from tests.integration.service.conftest import make_tenant, run
from tests.integration.service.servers import Postgres


@pytest.fixture
def admin_url(postgres: Postgres, database: str) -> str:
    return postgres.url("admin", database)


def test_makes_a_tenant_with_an_owner_and_a_key(admin_url: str) -> None:
    made = make_tenant(admin_url, "acme-west-2")
    assert (made.tenant.slug, made.tenant.name, made.tenant.status) == ("acme-west-2", "Acme West 2", "active")
    assert (made.owner.email, made.owner.display_name, made.owner.role) == ("alice@acme-west-2.example", "alice", "owner")
    assert made.key.reveal().startswith(f"jx_{made.tenant.id.hex}_")
    assert made.key.reveal() not in repr(made)


def test_only_the_hash_of_a_key_is_stored(postgres: Postgres, database: str, admin_url: str) -> None:
    secret = make_tenant(admin_url).key.reveal().rpartition("_")[2]
    stored = postgres.sql("SELECT encode(secret_hash, 'hex') FROM api_key", database=database)
    assert stored == hashlib.sha256(secret.encode()).hexdigest()


def test_a_slug_is_taken_once(postgres: Postgres, database: str, admin_url: str) -> None:
    make_tenant(admin_url)
    with pytest.raises(Conflict) as caught:
        make_tenant(admin_url)
    assert (caught.value.code, caught.value.field) == ("SLUG_TAKEN", "slug")
    assert "acme" in caught.value.message
    assert postgres.sql("SELECT count(*) FROM app_user", database=database) == "1"  # nothing of the second is left


def test_the_slug_of_a_deleted_tenant_is_free_again(postgres: Postgres, database: str, admin_url: str) -> None:
    first = make_tenant(admin_url)
    postgres.sql("UPDATE tenant SET deleted_at = now()", user="jeex_admin", database=database)
    assert make_tenant(admin_url).tenant.id != first.tenant.id
    assert [one.id for one in listed(admin_url)] != [first.tenant.id]


def test_lists_by_slug(admin_url: str) -> None:
    assert listed(admin_url) == []
    for slug in ("beta", "acme"):
        make_tenant(admin_url, slug)
    assert [one.slug for one in listed(admin_url)] == ["acme", "beta"]


def test_shows_one_tenant_and_nothing_of_another(admin_url: str) -> None:
    made = make_tenant(admin_url, "acme")
    make_tenant(admin_url, "other")
    found = shown(admin_url, "acme")
    assert found.tenant == made.tenant
    assert found.users == (made.owner,)
    assert [(one.user_id, one.revoked_at) for one in found.keys] == [(made.owner.id, None)]
    with pytest.raises(NotFound, match="nobody"):
        shown(admin_url, "nobody")


def test_bad_input_reaches_no_database() -> None:
    """The address leads nowhere: what is refused is refused before anything is asked."""
    with pytest.raises(InvalidInput) as caught:
        run(tenants.create(None, slug="Acme", admin_email="a@b.example"))  # type: ignore[arg-type]
    assert caught.value.field == "slug"
    with pytest.raises(InvalidInput) as caught:
        run(tenants.create(None, slug="acme", admin_email="nobody"))  # type: ignore[arg-type]
    assert caught.value.field == "email"


def listed(url: str) -> list[TenantView]:
    async def work() -> list[TenantView]:
        async with Database(Secret(url)) as database, database.transaction() as session:
            return await tenants.list_all(session)

    return run(work())


def shown(url: str, slug: str) -> TenantDetail:
    async def work() -> TenantDetail:
        async with Database(Secret(url)) as database, database.transaction() as session:
            return await tenants.show(session, slug)

    return run(work())
