"""Whatever is sent to an operation, the answer is one that the OpenAPI document promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.integration.service.client import Client, House
from tests.integration.service.conftest import ADMIN_KEY, make_tenant
from tests.integration.service.contract import ENDLESS, OPERATIONS, Stage, Things, credential_for
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres

_numbers = itertools.count()


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An API with everything that it can have, and no limit to how often it is asked."""
    folder = tmp_path_factory.mktemp("contract")
    vault = OpenBao(folder / "vault", postgres)
    database = postgres.copy("contract", "migrated")
    vault.prepare()
    settings = {
        "DATABASE_URL": postgres.place(database),
        "DATABASE_ADMIN_URL": postgres.place(database),
        "ADMIN_KEY": ADMIN_KEY,
        "RATE_LIMIT": "0",
        "API_PORT": str(free_port()),
    }
    try:
        vault.start()
        assert Service("seed", vault.seed_settings(), folder / "seed.log").run() == 0
        service = Service("api", {**settings, **vault.settings()}, folder / "api.log")
        service.start()
        try:
            service.wait("/ready")
            yield Stage(service)
        finally:
            service.stop()
    finally:
        vault.stop()
        postgres.sql("DROP TABLE IF EXISTS openbao_kv_store", database="jeex_vault")
        postgres.drop(database)


@pytest.fixture
def home(stage: Stage, postgres: Postgres) -> House:
    """A tenant that one operation may do anything to."""
    made = make_tenant(postgres.url("admin", "contract"), f"home-{next(_numbers)}")
    return House(made, Client(stage.service, made.key.reveal()))


@pytest.fixture
def things(stage: Stage, home: House) -> Things:
    return Things(home, Client(stage.service, ADMIN_KEY))


def test_every_operation_is_asked(stage: Stage) -> None:
    found = [one["operationId"] for path in stage.document["paths"].values() for one in path.values()]
    assert sorted(found) == sorted((*OPERATIONS, *ENDLESS))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_boundary_and_every_broken_rule(stage: Stage, home: House, things: Things, name: str) -> None:
    failures, statuses = [], set()
    for case in stage.coverage(stage.operation(name)):
        try:
            statuses.add(stage.check(things.there(case), credential_for(name, home)).status_code)
        except BaseExceptionGroup as error:
            failures.append(str(error)[:1500])
    assert not failures, "\n\n".join(failures[:5])
    assert any(one < 400 for one in statuses) or name in ("sign_in", "read_job_result"), statuses


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_comes_by_chance(stage: Stage, home: House, things: Things, name: str) -> None:
    @settings(
        max_examples=15, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )  # fmt: skip
    @given(case=stage.anything(stage.operation(name)))
    def holds(case):  # type: ignore[no-untyped-def]
        stage.check(things.there(case), credential_for(name, home))

    holds()
