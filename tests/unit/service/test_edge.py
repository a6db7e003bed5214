"""Request ids and traces: continued when they are harmless, made anew otherwise; and what an unexpected error becomes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.edge import Edge, request_info
from service.api.problems import Boundary

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def call(app: ASGIApp, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """One GET through `app`: status, headers, body."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "headers": [(name.lower().encode(), text.encode("latin-1")) for name, text in (headers or {}).items()],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_run(app, scope, receive, send))
    start = next(one for one in sent if one["type"] == "http.response.start")
    body = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return start["status"], {name.decode(): text.decode() for name, text in start["headers"]}, body


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def answering(work: Callable[[Scope, Send], Awaitable[Any]]) -> ASGIApp:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await work(scope, send)

    return app


async def ok(scope: Scope, send: Send) -> None:
    info = request_info(scope)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})
    await send({"type": "http.response.body", "body": f"{info.request_id} {info.trace_id}".encode()})


@pytest.mark.parametrize("given", ["abc", "A-b_c.1", "x" * 128])
def test_a_harmless_request_id_is_kept(given: str) -> None:
    _, headers, body = call(Edge(answering(ok)), {"X-Request-ID": given})
    assert headers["x-request-id"] == given
    assert body.startswith(given.encode())


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "<script>", "é"])
def test_any_other_is_replaced(given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", call(Edge(answering(ok)), {"X-Request-ID": given})[1]["x-request-id"])


@pytest.mark.parametrize("given", [f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-00-what-comes-later"])
def test_a_trace_is_continued_with_a_span_of_our_own(given: str) -> None:
    version, trace, span, flags = call(Edge(answering(ok)), {"traceparent": given})[1]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != SPAN


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
    ],
)
def test_a_broken_trace_begins_anew(given: str) -> None:
    _, trace, _, _ = call(Edge(answering(ok)), {"traceparent": given})[1]["traceparent"].split("-")
    assert trace != TRACE
    assert re.fullmatch("[0-9a-f]{32}", trace)
    assert trace.strip("0")


def test_a_header_of_the_application_wins_over_the_default() -> None:
    _, headers, _ = call(Edge(answering(ok)))
    assert headers["cache-control"] == "max-age=60"
    assert headers["x-frame-options"] == "DENY"


def test_an_unexpected_error_is_a_problem_that_tells_nothing() -> None:
    async def crash(_scope: Scope, _send: Send) -> None:
        raise RuntimeError("the inner life")

    status, headers, body = call(Edge(Boundary(answering(crash))))
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert b"inner life" not in body
    assert headers["x-request-id"].encode() in body


def test_half_an_answer_is_broken_off() -> None:
    async def crash(_scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        call(Edge(Boundary(answering(crash))))
