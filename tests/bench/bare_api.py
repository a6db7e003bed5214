"""What the API is measured against: FastAPI and bare asyncpg, the same statements, no credential, no row security, no
middleware. Run as a process: `python -m tests.bench.bare_api DATABASE_URL PORT TENANT_ID USER_ID`."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

LIFE = "row_version, created_at, updated_at, deleted_at"
PROJECT = f"id, slug, name, description, status, metadata, created_by, {LIFE}"
DOCUMENT = f"id, project_id, path, slug, title, type, status, version, metadata, created_by, {LIFE}"


class Lived(BaseModel):
    id: uuid.UUID
    created_by: uuid.UUID | None
    metadata: dict[str, Any]
    row_version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class Project(Lived):
    slug: str
    name: str
    description: str
    status: str


class Document(Lived):
    project_id: uuid.UUID
    path: str
    slug: str
    title: str
    type: str
    status: str
    version: int


class New(BaseModel):
    slug: str
    name: str
    description: str = ""
    status: str = "active"
    metadata: dict[str, Any] = {}


class Page(BaseModel):
    items: list[Document]
    next_cursor: str | None


def make(url: str, tenant_id: uuid.UUID, user_id: uuid.UUID) -> FastAPI:
    pool: asyncpg.Pool

    async def prepare(connection: asyncpg.Connection) -> None:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal pool
        async with asyncpg.create_pool(url, min_size=10, max_size=10, init=prepare) as pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/nothing")
    async def nothing() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/v1/projects/{project_id}")
    async def read(project_id: uuid.UUID) -> Project:
        return Project(
            **await pool.fetchrow(
                f"SELECT {PROJECT} FROM project WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",  # noqa: S608
                tenant_id,
                project_id,
            )
        )

    @app.get("/bound/{project_id}")
    async def bound(project_id: uuid.UUID) -> Project:
        async with pool.acquire() as connection:
            await connection.execute(f"BEGIN; SET LOCAL app.tenant_id = '{tenant_id}'")
            row = await connection.fetchrow(
                f"SELECT {PROJECT} FROM project WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",  # noqa: S608
                tenant_id,
                project_id,
            )
            await connection.execute("COMMIT")
        return Project(**row)

    @app.post("/api/v1/projects", status_code=201)
    async def create(body: New) -> Project:
        return Project(
            **await pool.fetchrow(
                "INSERT INTO project (tenant_id, slug, name, description, status, metadata, created_by) "  # noqa: S608
                f"VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {PROJECT}",
                *(tenant_id, body.slug, body.name, body.description, body.status, body.metadata, user_id),
            )
        )

    @app.get("/api/v1/documents")
    async def page(project_id: uuid.UUID, limit: int = 50) -> Page:
        rows = await pool.fetch(
            f"SELECT {DOCUMENT} FROM document WHERE tenant_id = $1 AND deleted_at IS NULL AND project_id = $2 "  # noqa: S608
            "ORDER BY id LIMIT $3",
            *(tenant_id, project_id, limit + 1),
        )
        items = [Document(**row) for row in rows[:limit]]
        return Page(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)

    return app


if __name__ == "__main__":
    address, port, tenant, user = sys.argv[1:]
    app = make(address, uuid.UUID(tenant), uuid.UUID(user))
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
