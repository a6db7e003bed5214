"""No tenant ever sees another's rows, whatever is asked, in whatever order, over whichever connection of the pool."""

from __future__ import annotations

import asyncpg

from service.adapters.database import Database
from service.core.settings import Secret
from tests.integration.service.conftest import run
from tests.integration.service.isolation import play
from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_checks import binding_ends, reset
from tests.integration.service.isolation_foreign import FOREIGN, REFUSED
from tests.integration.service.isolation_run import Setup
from tests.integration.service.isolation_ways import READS
from tests.integration.service.servers import Postgres


def test_tenants_never_meet(postgres: Postgres, database: str) -> None:
    setup = Setup(postgres.url("app", database), postgres.url("postgres", database))
    play(setup, examples=18, steps=25)
    missed = {*READS, *CHANGES, *FOREIGN, *REFUSED} - setup.tally.keys()
    assert not missed, "these ways were not tried"


def test_a_binding_ends_with_its_transaction(postgres: Postgres, database: str) -> None:
    async def work() -> None:
        control = await asyncpg.connect(postgres.url("postgres", database))
        try:
            world = await reset(control)
        finally:
            await control.close()
        async with Database(Secret(postgres.url("app", database)), pool_size=1) as one:
            for tenant in world:
                await binding_ends(one, tenant)

    run(work())
