"""The API's logins of PostgreSQL's: made by Vault, replaced before they end, and at once when they are taken away."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.adapters.vault import Vault
from service.adapters.vault_keys import VaultKeys
from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_secrets import VaultSecrets
from service.core.settings import Secret
from service.services import vault_setup
from service.services.rotation import Rotation
from tests.integration.service.client import Answer, Client, House
from tests.integration.service.conftest import ADMIN_KEY, make_tenant
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import PASSWORDS, OpenBao, Postgres
from tests.integration.service.traffic import traffic


@dataclass
class Place:
    """An API whose logins come from Vault, with a tenant."""

    postgres: Postgres
    openbao: OpenBao
    api: Service
    home: House
    operator: Vault

    @property
    def logins(self) -> VaultLogins:
        return VaultLogins(self.operator)

    def users(self) -> set[str]:
        """Every login that there is, whoever it belongs to."""
        found = self.postgres.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
        return set(found.split())

    def connected(self) -> set[str]:
        found = self.postgres.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'v-%'")
        return set(found.split())

    def read(self) -> Answer:
        return self.home.owner.get("/projects")

    def write(self) -> Answer:
        return self.home.owner.patch(f"/users/{self.home.made.owner.id}", {"display_name": "Alice"})

    def rotation(self) -> Rotation:
        return Rotation(VaultSecrets(self.operator), VaultKeys(self.operator), self.logins)


Start = Callable[..., Place]


@pytest.fixture
def start(postgres: Postgres, database: str, new_openbao: OpenBao, tmp_path: Path) -> Iterator[Start]:
    """Starts one whose logins hold for some seconds."""
    started: list[Place] = []

    def one(seconds: int = 3600) -> Place:
        new_openbao.login_seconds = seconds
        new_openbao.arrange()
        seed = Service("seed", new_openbao.seed_settings(DATABASE_LOGIN_SECONDS=str(seconds)), tmp_path / "seed.log")
        assert seed.run() == 0, seed.log.read_text()
        settings = {
            "DATABASE_URL": postgres.place(database),
            "DATABASE_ADMIN_URL": postgres.place(database),
            "ADMIN_KEY": ADMIN_KEY,
            "API_PORT": str(free_port()),
            "VAULT_POLL": "0.2",
            "RATE_LIMIT": "0",
            **new_openbao.settings(),
        }
        api = Service("api", settings, tmp_path / "api.log")
        api.start()
        operator = Vault(new_openbao.address)
        made = make_tenant(postgres.url("admin", database))
        place = Place(postgres, new_openbao, api, House(made, Client(api, made.key.reveal())), operator)
        started.append(place)
        api.wait("/ready")
        operator.sign_in(vault_setup.OPERATOR, Secret(new_openbao.secret_id))
        return place

    yield one
    for place in started:
        place.operator.close()
        place.api.stop()
        for user in place.users():  # of a test that has killed who would have ended it
            postgres.sql(f'DROP ROLE "{user}"')


def test_they_are_members_of_the_role_and_leave_with_the_process(start: Start) -> None:
    place = start()
    assert place.read().status == 200
    assert Client(place.api, ADMIN_KEY).get("/tenants").status == 200
    users = place.users()
    assert {user.split("-")[2] for user in users} == {"app", "admin"}
    for user in users:
        powers = "rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication"
        row = place.postgres.sql(
            f"SELECT {powers}, rolvaliduntil < now() + interval '61 minutes', array_to_string(rolconfig, ' ') "  # noqa: S608
            f"FROM pg_roles WHERE rolname = '{user}'"
        )
        limit = "30s" if "-app-" in user else "60s"
        assert row == f"f|t|statement_timeout={limit} idle_in_transaction_session_timeout=60s"
    assert place.api.stop() == 0
    assert place.users() == set()  # not a moment later: Vault may be what is stopped next
    assert place.logins.leases("app") == place.logins.leases("admin") == set()


def test_they_leave_with_the_process_where_vault_needs_time_for_it(start: Start) -> None:
    place = start()
    assert place.read().status == 200
    user = next(one for one in place.users() if "-app-" in one)
    held = f'BEGIN; ALTER ROLE "{user}" CONNECTION LIMIT 7; SELECT pg_sleep(5); ROLLBACK'
    with ThreadPoolExecutor(1) as beside:
        busy = beside.submit(place.postgres.sql, held)
        until(lambda: place.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
        assert place.api.stop() == 0
        assert place.users() == set()
        busy.result()


def test_no_login_is_in_the_log_of_anybody(start: Start) -> None:
    place = start()
    assert place.read().status == 200
    assert place.postgres.log.exists()
    issued = place.logins.leases("app")
    assert issued
    for log in (place.api.log, place.openbao.folder / "bao.log", place.postgres.log):
        text = log.read_text(errors="replace")
        assert "SCRAM-SHA-256$" not in text
        assert not any(password in text for password in PASSWORDS.values()), log
        assert not any(lease in text for lease in issued), log


def test_they_are_replaced_long_before_they_end_and_nobody_notices(start: Start) -> None:
    place = start(seconds=6)
    with traffic(place.read, place.read, place.write) as seen:
        first = place.connected()
        until(lambda: len({user for user in place.connected() if "-app-" in user} - first) >= 1)
        second = place.connected()
        until(lambda: place.connected() - first - second)
        seen.go_on()
    assert seen.failures == {}
    until(lambda: not first & place.users())  # given back, not left to end


def test_one_that_is_revoked_is_replaced_and_what_comes_after_succeeds(start: Start) -> None:
    place = start()
    with traffic(place.read, place.read, place.read, place.write) as seen:
        for _ in range(3):
            lease = place.logins.leases("app").pop()
            place.logins.revoke(lease)
            seen.go_on()
            assert place.read().status == 200
    # What was under way when its connection was cut is told to come again; nothing else.
    assert set(seen.failures) <= {(503, "DATABASE_UNAVAILABLE")}
    assert sum(seen.failures.values()) <= 3 * 4
    assert place.api.get("/ready")[0] == 200


def test_sessions_of_a_login_that_is_gone_are_of_no_use_and_are_replaced(start: Start) -> None:
    """Who signs in while a login is revoked is not among those that are cut off."""
    place = start()
    with traffic(place.read, place.read, place.write) as seen:
        for user in place.users():
            place.postgres.sql(f'ALTER ROLE "{user}" NOLOGIN; DROP ROLE "{user}"')  # and nobody is cut off
        until(lambda: place.read().status == place.write().status == 200)
        seen.go_on()
    assert set(seen.failures) == {(503, "DATABASE_UNAVAILABLE")}
    assert sum(seen.failures.values()) <= 3
    assert place.api.get("/ready")[0] == 200


def test_a_rotation_fails_no_request_and_leaves_no_login_of_before(start: Start) -> None:
    place = start()
    with traffic(place.read, place.read, place.write) as seen:
        for turn in (2, 3):
            before = place.logins.leases("app") | place.logins.leases("admin")
            assert place.rotation().rotate("database") == turn
            until(lambda before=before: not before & (place.logins.leases("app") | place.logins.leases("admin")))
            seen.go_on()
    assert seen.failures == {}
    # And the password that they are made with is one that only Vault knows.
    refused = place.postgres.psql("-c", "SELECT 1", user="jeex_logins", database="jeex")
    assert "password authentication failed" in refused.stderr


def test_seeding_again_keeps_a_rotated_password_and_follows_one_that_was_set_anew(start: Start, tmp_path: Path) -> None:
    place = start()
    assert place.read().status == 200
    place.rotation().rotate("database")
    for bootstrapped in (False, True):
        if bootstrapped:
            assert place.postgres.bootstrap().returncode == 0
        seed = Service("seed", place.openbao.seed_settings(), tmp_path / f"seed-{bootstrapped}.log")
        assert seed.run() == 0, seed.log.read_text()
        issued = place.logins.leases("app")
        place.logins.revoke(issued.pop())
        assert until(lambda: place.read().status == 200)


def test_a_vault_that_is_away_holds_nobody_up_until_a_login_ends(start: Start) -> None:
    place = start(seconds=8)
    token = place.home.owner.post("/tokens").body["access_token"]
    bearer = Client(place.api, token)
    with traffic(place.read, lambda: bearer.get("/whoami")) as seen:
        place.openbao.stop(signal.SIGKILL)
        refused = place.home.owner.post("/tokens")
        assert refused.outcome == (503, "VAULT_UNREACHABLE")
        assert refused.headers["retry-after"]
        seen.go_on(200)
        place.openbao.start()
        assert until(lambda: place.home.owner.post("/tokens").status == 201)
        users = place.connected()
        until(lambda: place.connected() - users)
        until(lambda: "database.login_turned_over" in place.api.log.read_text())
        seen.go_on()
    assert seen.failures == {}
    assert {one["event"] for one in place.api.lines()} >= {"vault.away", "vault.back", "database.login_turned_over"}


def test_an_api_without_any_login_says_so_and_recovers(start: Start) -> None:
    place = start(seconds=3)
    assert place.read().status == 200
    place.openbao.stop(signal.SIGKILL)
    for user in place.users():  # as when they have ended, and the machine was restarted
        place.postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'")  # noqa: S608
        place.postgres.sql(f'ALTER ROLE "{user}" NOLOGIN')
    assert place.read().outcome == (503, "DATABASE_NO_LOGIN")
    status, body, _ = place.api.get("/ready")
    assert (status, body["missing"]) == (503, ["postgresql"])
    assert "no login for PostgreSQL" in body["detail"]
    place.openbao.start()
    assert until(lambda: place.read().status == 200)
