"""API keys made, listed and revoked, as jeex (jeex_admin) and the API (jeex_app) do it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.adapters.database import Database
from service.adapters.keys import Holder
from service.core.errors import DatabaseUnavailable, InvalidInput, NotFound
from service.core.settings import Secret
from service.services import keys, tenants
from service.services.keys import KeyView
from tests.integration.service.conftest import make_tenant, run
from tests.integration.service.doors import Door, accepts, add_user, delete_user
from tests.integration.service.servers import Postgres

HOUR = timedelta(hours=1)


@pytest.fixture(params=["admin", "app"])
def door(request: pytest.FixtureRequest, postgres: Postgres, database: str) -> Door:
    return Door(postgres.url(request.param, database), make_tenant(postgres.url("admin", database)))


@pytest.fixture
def neighbour(door: Door, postgres: Postgres, database: str) -> Door:
    """Another tenant in the same database, as the same role."""
    return Door(door.url, make_tenant(postgres.url("admin", database), "neighbour"))


@pytest.fixture
def bob(door: Door, postgres: Postgres, database: str) -> uuid.UUID:
    """A second user of the tenant."""
    return add_user(door, postgres, database, "Bob@acme.example")


def test_a_key_is_made_shown_once_and_accepted(door: Door, postgres: Postgres, database: str) -> None:
    ends = datetime.now(UTC) + HOUR
    made = door.create(" ci ", expires_at=ends)
    view = made.view
    assert (view.user_id, view.name, view.expires_at, view.revoked_at) == (door.user_id, "ci", ends, None)
    assert view.last_used_at is None
    assert made.secret.reveal().startswith(f"jx_{door.tenant_id.hex}_{view.id.hex}_")
    assert made.secret.reveal() not in repr(made)
    assert door.list()[-1] == view
    assert door.do(lambda one: tenants.show(one, "acme")).keys[-1] == view
    assert accepts(postgres, database, made.secret)
    assert door.list()[-1].last_used_at is not None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "x" * 201])
def test_names_are_for_people(door: Door, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        door.create(name)
    assert caught.value.field == "name"


@pytest.mark.parametrize(
    "expires_at",
    [
        datetime.now(UTC) - HOUR,
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1),
        datetime.max.replace(tzinfo=timezone(-12 * HOUR)),
    ],
    ids=["just now", "long ago", "no zone", "beyond the calendar"],
)
def test_a_key_ends_in_the_future(door: Door, expires_at: datetime) -> None:
    with pytest.raises(InvalidInput) as caught:
        door.create(expires_at=expires_at)
    assert caught.value.field == "expires_at"
    assert len(door.list()) == 1


def test_the_last_day_of_the_calendar_is_one(door: Door) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert door.create(expires_at=last).view.expires_at == last


def test_a_key_is_of_a_user_who_is_there(
    door: Door, neighbour: Door, bob: uuid.UUID, postgres: Postgres, database: str
) -> None:
    delete_user(door, postgres, database, bob)
    for nobody in (uuid.uuid4(), neighbour.user_id, bob):
        with pytest.raises(NotFound) as caught:
            door.create(user_id=nobody)
        assert caught.value.code == "USER_UNKNOWN"


def test_lists_a_page_at_a_time_oldest_first(door: Door, bob: uuid.UUID) -> None:
    first = door.list()[0]
    made = [door.create(f"{number}", user_id=bob if number % 2 else None).view for number in range(5)]
    assert [one.name for one in door.list()] == [first.name, "0", "1", "2", "3", "4"]
    assert door.list(limit=2) == [first, made[0]]
    assert door.list(limit=2, after=made[0].id) == made[1:3]
    assert door.list(after=made[4].id) == []
    assert [one.name for one in door.list(user_id=bob)] == ["1", "3"]
    assert [one.name for one in door.list(user_id=bob, after=made[1].id)] == ["3"]
    assert door.list(user_id=uuid.uuid4()) == []


def test_the_revoked_are_listed_when_asked_for(door: Door) -> None:
    made = door.create().view
    revoked = door.revoke(made.id)
    assert made.id not in [one.id for one in door.list()]
    assert door.list(include_revoked=True)[-1] == revoked


def test_a_revoked_key_is_refused_at_once_and_no_other(door: Door, postgres: Postgres, database: str) -> None:
    gone, stays = door.create(), door.create()
    assert accepts(postgres, database, gone.secret)
    assert door.revoke(gone.view.id).revoked_at is not None
    assert not accepts(postgres, database, gone.secret)
    assert accepts(postgres, database, stays.secret)


def test_revoking_again_changes_nothing(door: Door) -> None:
    made = door.create().view
    first = door.revoke(made.id)
    assert door.revoke(made.id) == first
    assert first.revoked_at is not None
    assert first.revoked_at > made.created_at


def test_revoking_at_the_same_time_happens_once(door: Door) -> None:
    made = door.create().view

    async def both() -> list[KeyView]:
        async with Database(Secret(door.url)) as database:

            async def once(wait: float) -> KeyView:
                async with database.transaction(door.tenant_id) as session:
                    found = await keys.revoke(session, tenant_id=door.tenant_id, key_id=made.id)
                    await asyncio.sleep(wait)
                    return found

            return list(await asyncio.gather(*(once(0.1) for _ in range(4))))

    moments = {one.revoked_at for one in run(both())}
    assert len(moments) == 1
    assert door.list(include_revoked=True)[-1].revoked_at in moments


def test_only_keys_of_the_user_where_one_is_given(door: Door, bob: uuid.UUID) -> None:
    made = door.create(user_id=bob).view
    with pytest.raises(NotFound) as caught:
        door.revoke(made.id, user_id=door.user_id)
    assert caught.value.code == "KEY_UNKNOWN"
    assert door.list()[-1].revoked_at is None
    assert door.revoke(made.id, user_id=bob).revoked_at is not None


def test_keys_of_another_tenant_are_unknown(door: Door, neighbour: Door, postgres: Postgres, database: str) -> None:
    theirs = neighbour.create()
    for key_id in (theirs.view.id, uuid.uuid4()):
        with pytest.raises(NotFound) as caught:
            door.revoke(key_id)
        assert (caught.value.code, caught.value.message) == ("KEY_UNKNOWN", "there is no key of that id")
    assert door.matching(str(theirs.view.id)) == []
    assert theirs.view not in door.list(include_revoked=True)
    assert accepts(postgres, database, theirs.secret)
    # Not even by naming the other tenant: row security has the last word.
    for work in (
        lambda one: keys.revoke(one, tenant_id=neighbour.tenant_id, key_id=theirs.view.id),
        lambda one: keys.create(one, tenant_id=neighbour.tenant_id, user_id=neighbour.user_id, name="x", expires_at=None),
    ):
        with pytest.raises(NotFound):
            door.do(work)
    assert door.do(lambda one: keys.list_keys(one, tenant_id=neighbour.tenant_id)) == []


def test_the_first_digits_of_an_id_find_a_key(door: Door) -> None:
    made = [door.create(f"{number}").view for number in range(3)]
    assert door.matching(str(made[1].id)) == [made[1]]
    assert door.matching(made[1].id.hex.upper()) == [made[1]]
    door.revoke(made[0].id)
    found = door.matching(str(made[1].id)[:8])  # a minute, or the one before it
    assert made[1] in found
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert len(door.matching(made[1].id.hex[:8], limit=1)) == 1


def test_users_are_found_by_address_and_owners_named(
    door: Door, neighbour: Door, bob: uuid.UUID, postgres: Postgres, database: str
) -> None:
    def holder(email: str) -> Holder:
        return door.do(lambda one: keys.holder(one, tenant_id=door.tenant_id, email=email))

    assert holder("bob@ACME.example").id == bob
    with pytest.raises(NotFound) as caught:
        holder(neighbour.made.owner.email)
    assert caught.value.code == "USER_UNKNOWN"
    with pytest.raises(InvalidInput):
        holder("bob")
    assert [one.id for one in door.do(lambda one: keys.owners(one, tenant_id=door.tenant_id))] == [door.user_id]
    carol = add_user(door, postgres, database, "carol@acme.example", "owner")
    assert [one.id for one in door.do(lambda one: keys.owners(one, tenant_id=door.tenant_id))] == [door.user_id, carol]
    known = door.do(lambda one: keys.holders(one, tenant_id=door.tenant_id, ids={bob, neighbour.user_id}))
    assert {one: held.email for one, held in known.items()} == {bob: "Bob@acme.example"}


def test_keys_of_a_deleted_user_are_told_apart(door: Door, bob: uuid.UUID, postgres: Postgres, database: str) -> None:
    made = door.create(user_id=bob)
    delete_user(door, postgres, database, bob)
    assert not accepts(postgres, database, made.secret)
    assert made.view in door.list()
    known = door.do(lambda one: keys.holders(one, tenant_id=door.tenant_id, ids={bob, door.user_id}))
    assert {one: held.deleted for one, held in known.items()} == {bob: True, door.user_id: False}


def test_a_user_who_gets_a_key_is_not_purged_under_it(door: Door, bob: uuid.UUID, postgres: Postgres, database: str) -> None:
    """Whoever would remove the user waits until the key is there, and takes it along."""

    async def work() -> None:
        async with Database(Secret(door.url)) as pool, Database(Secret(door.url)) as others:
            purge = f"DELETE FROM app_user WHERE tenant_id = '{door.tenant_id}' AND id = '{bob}'"  # noqa: S608
            async with pool.transaction(door.tenant_id) as session:
                await keys.create(session, tenant_id=door.tenant_id, user_id=bob, name="x", expires_at=None)
                with pytest.raises(DatabaseUnavailable) as caught:
                    async with others.direct(door.tenant_id) as driver:
                        await driver.execute("SET LOCAL lock_timeout = '50ms'")
                        await driver.execute(purge)
                assert caught.value.code == "DATABASE_BUSY"
            async with others.direct(door.tenant_id) as driver:
                await driver.execute(purge)

    run(work())
    assert [one.user_id for one in door.list()] == [door.user_id]
