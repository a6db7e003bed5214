"""Host names of ours and of others; HEAD."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from service.api.hosts import TrustedHost
from service.api.methods import Head
from tests.unit.service.asgi import ask, never, ok

HOSTS = ("127.0.0.1", "localhost", "[::1]", "www.example.net", "*.example.com")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost",
        "localhost:8000",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8000",
        "a.example.com",
        "a.b.example.com:443",
        "www.example.net",
    ],
)
def test_a_host_of_ours_is_served(host: str) -> None:
    assert ask(TrustedHost(ok, HOSTS), [("host", host)]).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "example.com",
        "example.net",  # Starlette would redirect to www
        ".localhost",
        "localhost.evil.example",
        "evil-example.com",
        "localhost:80:80",
        "localhost:x",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost, evil.example",
        "localhost\t",
        "::1",
        "[::1",
        "[::2]",
        "127.0.0.1.evil.example",
        "lo\xe7alhost",
    ],
)
def test_any_other_is_not(host: str) -> None:
    answer = ask(TrustedHost(never, HOSTS), [("host", host)])
    assert answer.problem() == (400, "HOST_NOT_ALLOWED")
    assert not [one for one in HOSTS if one.strip("*") in str(answer.json)]


def test_one_host_is_said_and_nothing_else_counts() -> None:
    app = TrustedHost(never, HOSTS)
    assert ask(app).problem() == (400, "HOST_NOT_ALLOWED")
    for other in ("evil.example", "localhost"):
        assert ask(app, [("host", "localhost"), ("host", other)]).problem() == (400, "HOST_NOT_ALLOWED")
    forwarded = [("x-forwarded-host", "localhost"), ("forwarded", "host=localhost"), ("host", "evil.example")]
    assert ask(app, forwarded).problem() == (400, "HOST_NOT_ALLOWED")
    assert ask(TrustedHost(ok, HOSTS), [("host", "localhost"), ("x-forwarded-host", "evil.example")]).status == 200


def test_a_star_is_for_any_host() -> None:
    assert ask(TrustedHost(ok, ("*",)), [("host", "evil.example")]).status == 200


def test_head_is_a_get_to_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await ok(scope, receive, send)

    for method in ("HEAD", "GET", "POST"):
        ask(Head(app), method=method)
    assert seen == ["GET", "GET", "POST"]
