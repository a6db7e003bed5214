"""A body that is too long, a request that takes too long; what stays within the limits does not notice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from service.api import limits, problems
from service.api.limits import BodyLimit, Deadline
from tests.unit.service.asgi import Answer, Client, ask, never, ok

CHUNKED = (("transfer-encoding", "chunked"),)


class Text(BaseModel):
    """A body of JSON."""

    text: str


def fastapi() -> FastAPI:
    """An application as ours is made, with the ways in which a body is read."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(problems.Boundary)

    @app.post("/json")
    async def json(body: Text) -> int:
        return len(body.text)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/careless")
    async def careless(request: Request) -> str:
        try:
            await request.body()
        except Exception:  # noqa: BLE001 - that is what it is about
            return "never mind"
        return "read"

    @app.post("/unread")
    async def unread() -> str:
        return "done"

    return app


@pytest.fixture(autouse=True)
def short_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_LINGER", 0.05)


async def _reading(_scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body", False):
        pass
    await ok(_scope, receive, send)


@pytest.mark.parametrize("path", ["/json", "/raw", "/stream"])
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_body_up_to_the_limit_is_read(path: str, how: str) -> None:
    body = b'{"text":"' + b"a" * 89 + b'"}'
    headers = [("content-type", "application/json"), *([("content-length", "100")] if how == "length" else CHUNKED)]
    answer = ask(BodyLimit(fastapi(), 100), headers, Client(body[:50], body[50:]), path=path)
    assert (answer.status, answer.json) == (200, 89 if path == "/json" else 100)


def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    for length in ("101", "9" * 19):
        answer = ask(BodyLimit(never, 100), [("content-length", length)], Client(b"a" * 101))
        assert answer.problem() == (413, "BODY_TOO_LARGE")
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/json", "/raw", "/stream", "/careless"])
def test_a_body_that_becomes_too_long_is_refused_there(path: str) -> None:
    client = Client(*[b"a" * 60] * 100, ends=False)
    headers = [("content-type", "application/json"), *CHUNKED]
    seen: list[int] = []

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        await fastapi()(scope, receive, send)
        seen.append(client.taken)

    answer = ask(BodyLimit(watching, 100), headers, client, path=path)
    assert answer.problem() == (413, "BODY_TOO_LARGE")
    assert answer.headers["connection"] == "close"
    assert seen == [120]


def test_the_refused_may_speak_to_the_end_for_a_moment() -> None:
    client = Client(*[b"a" * 60] * 100)
    assert ask(BodyLimit(_reading, 100), CHUNKED, client).status == 413
    assert client.taken == 6000
    for endless in (Client(b"a" * 101, ends=False), Client(ends=False)):
        assert ask(BodyLimit(_reading, 100), [("content-length", "101")], endless).status == 413


def test_an_error_of_the_application_is_not_taken_for_a_long_body() -> None:
    async def crash(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        ask(BodyLimit(crash, 100), CHUNKED, Client(b"a"))


def test_half_an_answer_to_a_long_body_is_broken_off() -> None:
    async def eager(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await _reading(scope, receive, send)

    answer = Answer()
    with pytest.raises(Exception, match="413"):
        ask(BodyLimit(eager, 100), CHUNKED, Client(b"a" * 101), answer=answer)
    assert (answer.status, answer.whole) == (200, False)


@pytest.mark.parametrize(
    "headers",
    [
        *(
            [("content-length", value)]
            for value in ("", "-1", "+1", "1.0", "0x1", "1 1", "1,1", "one", "1_0", "\xb2", "9" * 20)
        ),
        [("content-length", "1"), ("content-length", "1")],
        [("content-length", "1"), ("content-length", "2")],
        [("content-length", "1"), *CHUNKED],
    ],
)
def test_a_length_that_could_mean_two_things_is_refused(headers: list[tuple[str, str]]) -> None:
    answer = ask(BodyLimit(never, 100), headers)
    assert answer.problem() == (400, "MALFORMED_REQUEST")
    assert answer.headers["connection"] == "close"


def test_a_request_without_a_body_is_passed_on_as_it_is() -> None:
    passed: list[object] = []

    async def app(*given: object) -> None:
        passed.extend(given)

    async def work() -> None:
        own: tuple[Any, ...] = ({"type": "http", "headers": [(b"host", b"x")]}, Client().receive, Answer().sent.append)
        await BodyLimit(app, 100)(*own)
        assert passed == list(own)

    asyncio.run(work())


async def _slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(30)


def test_work_that_takes_too_long_is_a_503() -> None:
    answer = ask(Deadline(_slow, 0.02))
    assert answer.problem() == (503, "REQUEST_TIMEOUT")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/json", "/raw", "/stream", "/careless"])
def test_a_body_that_does_not_arrive_is_a_408(path: str) -> None:
    answer = ask(Deadline(fastapi(), 0.1), CHUNKED, Client(b"{", ends=False), path=path)
    assert answer.problem() == (408, "BODY_TIMEOUT")
    assert answer.headers["connection"] == "close"


def test_who_does_not_read_the_body_is_the_one_who_is_slow() -> None:
    assert ask(Deadline(_slow, 0.02), CHUNKED, Client(ends=False)).problem() == (503, "REQUEST_TIMEOUT")

    async def read_then_slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()  # until the client leaves
        await _slow(scope, receive, send)

    assert ask(Deadline(read_then_slow, 0.02), CHUNKED, Client(b"a")).problem() == (503, "REQUEST_TIMEOUT")


def test_the_work_is_cancelled_and_cleans_up() -> None:
    left: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _slow(scope, receive, send)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # as a rollback would
            left.append("rolled back")
            raise

    assert ask(Deadline(app, 0.02)).status == 503
    assert left == ["rolled back"]


def test_half_an_answer_that_takes_too_long_is_broken_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await _slow(scope, receive, send)

    answer = Answer()
    with pytest.raises(TimeoutError):
        ask(Deadline(app, 0.02), answer=answer)
    assert len(answer.sent) == 1


def test_a_timeout_of_the_application_is_its_own() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        ask(Deadline(app, 10))
    assert ask(problems.Boundary(Deadline(app, 10))).problem() == (500, "INTERNAL_SERVER_ERROR")


def test_being_cancelled_from_outside_is_no_timeout() -> None:
    async def work() -> None:
        scope: Scope = {"type": "http", "headers": [], "path": "/", "method": "GET"}
        task = asyncio.ensure_future(Deadline(_slow, 10)(scope, Client().receive, never))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
