"""The real API with jobs that a test decides about: what a stream says and when it breaks cannot be asked of real work.

Everything but the jobs goes on to the API at `upstream`. What is here has the form of the API's own jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.service.machine import answers, free_port, until

_numbers = itertools.count(1)
_NOT_PASSED_ON = {"host", "origin", "content-length", "accept-encoding", "connection"}


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class JobsApi:
    """`jobs` are all there are; `put` changes one and tells it, `cut` ends every stream, `refusing` lets none begin."""

    upstream: str
    origin: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusing: bool = False
    asked: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _streams: set[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, job: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A new job, or what has become of one; every stream tells."""
        number = next(_numbers)
        fresh = {
            "id": f"0199d5a0-0000-7000-8000-{number:012}",
            "kind": "project.export",
            "status": "queued",
            "progress": None,
            "message": "",
            "attempts": 0,
            "max_attempts": 5,
            "error": None,
            "request_id": f"request-{number}",
            "created_at": now(),
            "started_at": None,
            "finished_at": None,
            "run_at": None,
        }
        one = self.jobs[(job or fresh)["id"]] = {**(job or fresh), **changes}
        self._tell(one)
        return one

    def cut(self) -> None:
        """Every stream ends."""
        self._tell(None)

    @property
    def listeners(self) -> int:
        return len(self._streams)

    def _tell(self, what: dict[str, Any] | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: [one.put_nowait(what) for one in self._streams])

    async def listed(self, request: Request) -> Response:
        status = request.query_params.get("status", "")
        newest = sorted(self.jobs.values(), key=lambda one: one["created_at"], reverse=True)
        return JSONResponse({"items": [one for one in newest if status in ("", one["status"])], "next_cursor": None})

    async def events(self, request: Request) -> Response:
        if self.refusing:
            return self._refused(503, "the stream is not to be had")
        assert request.headers["authorization"].startswith("Bearer ")
        mine: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        async def lines() -> AsyncIterator[str]:
            self._streams.add(mine)
            try:
                yield ": here\n\n"
                for one in [one for one in self.jobs.values() if one["status"] in ("queued", "running")]:
                    yield f"event: job\ndata: {json.dumps(one)}\n\n"
                while (one := await mine.get()) is not None:
                    yield f"event: job\ndata: {json.dumps(one)}\n\n"
            finally:
                self._streams.discard(mine)

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def act(self, request: Request) -> Response:
        job = self.jobs[request.path_params["id"]]
        if request.path_params["what"] == "cancel":
            if job["status"] not in ("queued", "running"):
                return self._refused(409, "the job has ended already")
            return JSONResponse(self.put(job, status="cancelled", finished_at=now()))
        return JSONResponse(self.put(job, status="queued", attempts=0, error=None, finished_at=None))

    async def export(self, request: Request) -> Response:
        return JSONResponse(self.put(message="export"), 202)

    async def result(self, request: Request) -> Response:
        headers = {"content-disposition": 'attachment; filename="handbook.zip"'}
        return Response(b"PK\x05\x06" + bytes(18), media_type="application/zip", headers=headers)

    async def onward(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON}
        async with httpx.AsyncClient() as client:
            url = f"{self.upstream}{request.url.path}?{request.url.query}".rstrip("?")
            answer = await client.request(request.method, url, headers=headers, content=await request.body())
        kept = {name: value for name, value in answer.headers.items() if name in ("content-type", "etag", "x-request-id")}
        return Response(answer.content, answer.status_code, headers=kept)

    def _refused(self, status: int, detail: str) -> Response:
        body = {"title": "Refused", "status": status, "detail": detail, "code": "REFUSED", "request_id": "stand-in"}
        return JSONResponse(body, status, media_type="application/problem+json")

    @contextlib.contextmanager
    def running(self) -> Iterator[JobsApi]:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self._loop = asyncio.get_running_loop()
            yield

        cors = Middleware(
            CORSMiddleware,
            allow_origins=[self.origin],
            allow_methods=["*"],
            allow_headers=["*", "authorization"],
            expose_headers=["ETag", "X-Request-ID", "Content-Disposition"],
        )
        app = Starlette(
            routes=[
                Route("/api/v1/jobs", self.listed),
                Route("/api/v1/jobs/events", self.events),
                Route("/api/v1/jobs/{id}/result", self.result),
                Route("/api/v1/jobs/{id}/{what}", self.act, methods=["POST"]),
                Route("/api/v1/projects/{id}/export", self.export, methods=["POST"]),
                Route("/{rest:path}", self.onward, methods=["GET", "POST", "PATCH", "DELETE"]),
            ],
            middleware=[cors],
            lifespan=lifespan,
        )
        config = uvicorn.Config(app, port=self.port, log_config=None, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until(lambda: answers(self.port))
            yield self
        finally:
            self.cut()
            server.should_exit = True
            thread.join()
