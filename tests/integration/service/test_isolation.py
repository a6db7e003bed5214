"""No tenant ever sees another's rows, whatever is asked, in whatever order, over whichever connection of the pool."""

from __future__ import annotations

from tests.integration.service.isolation import Setup, play
from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_foreign import FOREIGN, REFUSED
from tests.integration.service.isolation_ways import READS
from tests.integration.service.servers import Postgres


def test_tenants_never_meet(postgres: Postgres, database: str) -> None:
    setup = Setup(postgres.url("app", database), postgres.url("postgres", database))
    play(setup, examples=18, steps=25)
    missed = {*READS, *CHANGES, *FOREIGN, *REFUSED} - setup.tally.keys()
    assert not missed, "these ways were not tried"
