"""`python -m tests.integration.service.limited PORT`: a small application within small limits, served as the API is."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from service.api import problems, protocol
from service.api.edge import Edge
from service.api.hosts import TrustedHost
from service.api.limits import BodyLimit, Deadline
from service.api.methods import Head
from service.api.server import Draining, serve
from service.core import logs
from tests.integration.service.machine import answers, free_port, stop, until
from tests.integration.service.servers import ROOT

BODY = 100_000  # bytes
SECONDS = 1.0  # for a request
HEAD_SECONDS = 0.7
STALL_SECONDS = 0.7


class Text(BaseModel):
    """A body of JSON."""

    text: str


@contextmanager
def served(log: Path) -> Iterator[int]:
    """The port of a process that serves it. At the end, nothing has crashed."""
    port = free_port()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __name__, str(port)], cwd=ROOT, stdout=file, stderr=file
        )
    try:
        until(lambda: process.poll() is not None or answers(port))
        yield port
    finally:
        stop(process)
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert process.returncode == 0
    assert [one for one in said if one["level"] == "error"] == []


def main(port: int) -> int:
    """Serve until told to end."""
    logs.configure("info", "limited")
    protocol.HEAD_SECONDS = HEAD_SECONDS
    protocol.STALL_SECONDS = STALL_SECONDS
    app = FastAPI()
    problems.install(app)
    app.add_middleware(problems.Boundary)

    @app.get("/where")
    async def where(request: Request) -> str:
        return str(request.url)

    @app.post("/json")
    async def json(body: Text) -> int:
        return len(body.text)

    @app.post("/headers")
    async def headers(request: Request) -> list[str]:
        await request.body()
        return [name.decode() for name, _ in request.scope["headers"]]

    @app.post("/unread")
    async def unread() -> str:
        return "done"

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(30)

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0)
                yield b"a" * 65536

        return StreamingResponse(parts())

    limited = BodyLimit(Deadline(app, SECONDS), BODY)
    return serve(Edge(TrustedHost(Head(limited), ("localhost",))), host="127.0.0.1", port=port, draining=Draining())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
