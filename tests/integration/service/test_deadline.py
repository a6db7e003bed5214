"""What a request that takes too long leaves behind in PostgreSQL and in the pool: nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import Message, Scope

from service.adapters.database import Database
from service.api import problems
from service.api.edge import Edge
from service.api.limits import Deadline
from service.core.settings import Secret
from tests.integration.service.conftest import run
from tests.integration.service.servers import Postgres

POOL = 3


def application(database: Database) -> FastAPI:
    """Two ways to the database, each of which writes and then sleeps for `ms`."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(problems.Boundary)

    @app.get("/direct/{ms}")
    async def direct(ms: int) -> None:
        async with database.direct() as driver:
            for _ in range(3):
                await driver.execute("INSERT INTO scratch VALUES ($1)", ms)
                await driver.execute("SELECT pg_sleep($1)", ms / 3000)

    @app.get("/transaction/{ms}")
    async def transaction(ms: int) -> None:
        async with database.transaction() as session:
            for _ in range(3):
                await session.execute(text("INSERT INTO scratch VALUES (:ms)"), {"ms": ms})
                await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": ms / 3000})

    return app


async def status(app: FastAPI, path: str, seconds: float) -> int:
    """Of a GET that may take so long."""
    sent: list[Message] = []
    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(dict(message))

    await Edge(Deadline(app, seconds))(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("way", ["direct", "transaction"])
def test_timeouts_give_everything_back(postgres: Postgres, database: str, way: str) -> None:
    postgres.sql("CREATE TABLE scratch (ms integer); GRANT ALL ON scratch TO jeex_app", database=database)
    dice = random.Random(7)

    async def work() -> None:
        async with Database(Secret(postgres.url("app", database)), pool_size=POOL) as pool:
            app = application(pool)
            assert await status(app, f"/{way}/0", 20) == 200
            # Ended wherever they are: waiting for a connection, beginning, at work, committing, giving back.
            seen: Counter[int] = Counter()
            for _ in range(40):
                several = [status(app, f"/{way}/{dice.randrange(30)}", dice.uniform(0.001, 0.06)) for _ in range(2 * POOL)]
                seen.update(await asyncio.gather(*several))
            assert set(seen) == {200, 503}
            # All at once, all too slow, and then as many as there are connections.
            assert await asyncio.gather(*[status(app, f"/{way}/900", 0.1) for _ in range(POOL)]) == [503] * POOL
            assert await asyncio.gather(*[status(app, f"/{way}/0", 20) for _ in range(10 * POOL)]) == [200] * 10 * POOL
            async with pool.direct() as driver:
                assert await driver.fetchval("SELECT count(*) FROM scratch WHERE ms = 900") == 0
                # Whole transactions only. One that ends amid its COMMIT may have happened: nobody can know.
                rows, said = await driver.fetchval("SELECT count(*) FROM scratch"), seen[200] + 1 + 10 * POOL
                assert rows % 3 == 0
                assert 3 * said <= rows <= 3 * (said + seen[503])
                others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                assert await driver.fetchval(f"SELECT count(*) {others} AND state LIKE 'idle in transaction%'") == 0

    run(work())
