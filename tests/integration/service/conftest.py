"""A PostgreSQL per worker of pytest with a migrated database to copy, and whatever else a test wants to itself."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrations import runner
from service.adapters.database import Database
from service.core.settings import Secret
from service.services import tenants
from service.services.tenants import NewTenant
from tests.integration.service.client import Client, House
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres, Valkey
from tests.integration.service.twins import Pair, Twins, running_pair

_TEMPLATE = "migrated"
ADMIN_KEY = "the-administration-key-of-these-tests-alone"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for tests that leave it running. `jeex` is empty, `migrated` is at head."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.create()
    server.start()
    try:
        assert server.bootstrap().returncode == 0
        server.copy(_TEMPLATE, "jeex")
        runner.upgrade(server.url("owner", _TEMPLATE))
        yield server
    finally:
        server.stop()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server that a test may kill; `jeex` is empty."""
    server = Postgres(tmp_path / "postgres")
    server.create()
    server.start()
    try:
        assert server.bootstrap().returncode == 0
        yield server
    finally:
        server.stop()


_numbers = itertools.count()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The name of a migrated database of one test's own."""
    name = postgres.copy(f"test_{next(_numbers)}", _TEMPLATE)
    yield name
    postgres.drop(name)


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[str]:
    """The name of an empty database of one test's own."""
    name = postgres.copy(f"test_{next(_numbers)}", "jeex")
    yield name
    postgres.drop(name)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_openbao(tmp_path: Path, postgres: Postgres) -> Iterator[OpenBao]:
    """A vault on its first start, over a storage of its own."""
    server = OpenBao(tmp_path / "vault", postgres)
    server.prepare()
    try:
        server.start()
        yield server
    finally:
        server.stop()
        postgres.sql("DROP TABLE IF EXISTS openbao_kv_store", database="jeex_vault")
        postgres.restore_logins()  # a rotation of this Vault's has changed what only it knows


@pytest.fixture
def openbao(new_openbao: OpenBao) -> OpenBao:
    """The same, with engines, policies and roles, and no secret in it."""
    new_openbao.arrange()
    return new_openbao


@pytest.fixture
def api(postgres: Postgres, database: str, tmp_path: Path) -> Iterator[Service]:
    """A running API over a database of its own, without Redis and Vault."""
    yield from _serving(postgres, database, tmp_path)


@pytest.fixture(scope="session")
def shared_api(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One API for every test that leaves nothing behind."""
    name = postgres.copy("shared", _TEMPLATE)
    yield from _serving(postgres, name, tmp_path_factory.mktemp("api"))


def _serving(postgres: Postgres, database: str, folder: Path) -> Iterator[Service]:
    settings = {
        "DATABASE_URL": postgres.url("app", database),
        "DATABASE_ADMIN_URL": postgres.url("admin", database),
        "ADMIN_KEY": ADMIN_KEY,
        "API_PORT": str(free_port()),
        "CORS_ORIGINS": "http://127.0.0.1:5200",
    }
    one = Service("api", settings, folder / "api.log")
    one.start()
    try:
        one.wait("/ready")
        yield one
    finally:
        one.stop()


def make_tenant(admin_url: str, slug: str = "acme") -> NewTenant:
    """A tenant, made as jeex makes it."""

    async def work() -> NewTenant:
        async with Database(Secret(admin_url)) as database, database.transaction() as session:
            return await tenants.create(session, slug=slug, admin_email=f"alice@{slug}.example")

    return run(work())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run`, with a name that reads well in tests."""
    return asyncio.run(work)


@pytest.fixture
def house(shared_api: Service, postgres: Postgres) -> House:
    """A tenant of one test's own, on the API that the others use too."""
    made = make_tenant(postgres.url("admin", "shared"), f"house-{next(_numbers)}")
    return House(made, Client(shared_api, made.key.reveal()))


@pytest.fixture
def other(shared_api: Service, postgres: Postgres) -> House:
    """Another tenant on the same API."""
    made = make_tenant(postgres.url("admin", "shared"), f"other-{next(_numbers)}")
    return House(made, Client(shared_api, made.key.reveal()))


@pytest.fixture(scope="session")
def pair(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two API processes that share everything. A test leaves their Redis answering."""
    with running_pair(postgres, tmp_path_factory.mktemp("twins")) as found:
        yield found


@pytest.fixture
def twins(pair: Pair) -> Twins:
    """A tenant of one test's own, and its owner at each of the two."""
    made = make_tenant(pair.postgres.url("admin", pair.database), f"twins-{next(_numbers)}")
    one, other = (Client(service, made.key.reveal()) for service in pair.services)
    return Twins(one, other, made.tenant.id, pair)
