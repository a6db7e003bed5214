"""Requests to an application without a server, and small applications."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.edge import Edge


@dataclass
class Answer:
    """What came out of an application."""

    sent: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return next(int(one["status"]) for one in self.sent if one["type"] == "http.response.start")

    @property
    def headers(self) -> dict[str, str]:
        start = next(one for one in self.sent if one["type"] == "http.response.start")
        return {name.decode(): text.decode() for name, text in start["headers"]}

    @property
    def json(self) -> Any:
        return orjson.loads(b"".join(one.get("body", b"") for one in self.sent))

    @property
    def whole(self) -> bool:
        starts = [one["type"] for one in self.sent].count("http.response.start")
        ends = [one for one in self.sent if one["type"] == "http.response.body" and not one.get("more_body", False)]
        return starts == len(ends) == 1

    def problem(self) -> tuple[int, str]:
        """Status and code of what must be one whole problem."""
        assert self.whole
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        assert self.json["request_id"] == self.headers["x-request-id"]
        return self.status, self.json["code"]


class Client:
    """Sends `parts` as one body, then nothing more; without an end, it just stops there."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self._left = list(parts)
        self._ends = ends
        self._over = False
        self.taken = 0

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        if self._over or not (self._left or self._ends):
            await asyncio.Event().wait()
        part = self._left.pop(0) if self._left else b""
        self.taken += len(part)
        self._over = self._ends and not self._left
        return {"type": "http.request", "body": part, "more_body": not self._over}


def ask(
    app: ASGIApp,
    headers: Sequence[tuple[str, str]] = (),
    client: Client | None = None,
    *,
    method: str = "POST",
    path: str = "/",
    answer: Answer | None = None,
) -> Answer:
    """One request through `app`, the way a server makes it."""
    answer = answer or Answer()
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), text.encode("latin-1")) for name, text in headers],
    }

    async def send(message: Message) -> None:
        answer.sent.append(dict(message))

    async def work() -> None:
        await Edge(app)(scope, (client or Client(b"")).receive, send)

    asyncio.run(work())
    return answer


async def ok(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"null"})


async def never(*_: object) -> None:
    raise AssertionError("this was not to be reached")
