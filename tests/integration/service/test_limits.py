"""Clients whose bodies are too long or whose requests take too long, against a server of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.service import limited
from tests.integration.service.machine import until
from tests.integration.service.sockets import CHUNKED, GET, POST, WHERE, chunk, connected


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where limited.py listens."""
    with limited.served(tmp_path_factory.mktemp("limited") / "log") as number:
        yield number


def test_a_body_within_the_limit_leaves_the_connection_open(port: int) -> None:
    body = json.dumps({"text": "a" * (limited.BODY - 12)}).encode()
    assert len(body) == limited.BODY
    with connected(port) as one:
        one.send(POST + b"Content-Length: %d\r\n\r\n" % len(body), body)
        assert one.answer()[:2] == (200, str(limited.BODY - 12))
        one.send(POST + CHUNKED, b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n")
        assert one.answer()[:2] == (200, str(limited.BODY - 12))
        one.send(GET + b"\r\n")
        assert one.answer()[:2] == (200, WHERE)


@pytest.mark.parametrize("path", [b"json", b"headers"])
def test_who_writes_all_before_reading_sees_the_refusal(port: int, path: bytes) -> None:
    start = POST.replace(b"/json", b"/" + path)
    with connected(port) as one:
        one.send(start + b"Content-Length: 30000000\r\n\r\n", *[b"a" * 1_000_000] * 30)
        assert one.problem() == (413, "BODY_TOO_LARGE", "close")
        assert one.closed()
    with connected(port) as one:
        one.send(start + CHUNKED, *[chunk(60_000)] * 300, b"0\r\n\r\n")
        assert one.problem() == (413, "BODY_TOO_LARGE", "close")
        assert one.closed()


def test_a_refused_length_is_not_waited_for(port: int) -> None:
    with connected(port) as one:
        one.send(POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
        started = time.monotonic()
        assert one.problem() == (413, "BODY_TOO_LARGE", "close")
        assert time.monotonic() - started < 0.5
        assert one.closed()


@pytest.mark.parametrize("what", [b"garbage\r\n\r\n", GET + b"\r\n"])
def test_what_follows_a_refused_body_is_not_answered(port: int, what: bytes) -> None:
    head, body = POST + b"Content-Length: 100001\r\n\r\n", b"a" * 100_001 + what
    for parts in ((head, body), (head + body,)):  # the body, by its length, and then a request
        with connected(port) as one:
            one.send(*parts)
            assert one.problem()[:2] == (413, "BODY_TOO_LARGE")
            assert one.closed()
    for pause in (0.0, 0.1):  # no chunk, before and after the refusal
        with connected(port) as one:
            one.send(POST + CHUNKED + chunk(100_001), what, pause=pause)
            assert one.problem()[1:] in (("BODY_TOO_LARGE", "close"), ("MALFORMED_REQUEST", "close"))
            assert one.closed()


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: +1\r\n\r\na",
        b"Content-Length: 1, 1\r\n\r\na",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\naa",
        b"Content-Length: 3\r\n" + CHUNKED + b"0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\na",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nGET /",
    ],
)
def test_a_length_that_could_mean_two_things_is_refused(port: int, fields: bytes) -> None:
    with connected(port) as one:
        one.send(POST + fields)
        status, _, connection = one.problem()
        assert (status, connection) == (400, "close")
        assert one.closed()


def test_a_slow_body_is_a_408(port: int) -> None:
    with connected(port) as one:
        one.send(POST + b"Content-Length: 100\r\n\r\n", b"{", b'"', pause=0.2)
        assert one.problem() == (408, "BODY_TIMEOUT", "close")
        assert one.closed()


def test_slow_work_is_a_503_and_the_connection_goes_on(port: int) -> None:
    with connected(port) as one:
        one.send(GET.replace(b"where", b"slow") + b"\r\n")
        assert one.problem() == (503, "REQUEST_TIMEOUT", "")
        one.send(GET + b"\r\n")
        assert one.answer()[0] == 200


def test_slow_headers_are_a_408(port: int) -> None:
    with connected(port) as one:
        one.send(GET, *[b"a: b\r\n"] * 5, pause=0.2)
        assert one.problem() == (408, "HEADERS_TIMEOUT", "close")
        assert one.closed()


@pytest.mark.parametrize(("before", "drops"), [(b"", b""), (b"", b"\r\n"), (GET + b"\r\n", b"\r\n")])
def test_who_asks_nothing_is_not_kept(port: int, before: bytes, drops: bytes) -> None:
    with connected(port) as one:
        if before:
            one.send(before)
            assert one.answer()[0] == 200
        started = time.monotonic()
        if drops:
            one.send(*[drops] * 8, pause=0.1)
        assert one.closed()
        assert time.monotonic() - started < 2


def test_a_body_that_nobody_reads_cannot_drip_forever(port: int) -> None:
    with connected(port) as one:
        one.send(POST.replace(b"/json", b"/unread") + b"Content-Length: 1000\r\n\r\n", b"a")
        assert one.answer()[0] == 200
        started = time.monotonic()
        one.send(*[b"a"] * 15, pause=0.1)
        assert one.closed()
        assert time.monotonic() - started < 3


def test_who_does_not_read_is_broken_off(port: int) -> None:
    with connected(port) as one:
        one.send(GET.replace(b"where", b"large") + b"\r\n")
        until(lambda: _state(port, one.number) == "01", seconds=1)  # established
        until(lambda: _state(port, one.number) != "01", seconds=3)


def _state(port: int, number: int) -> str:
    """What the kernel says of the server's end of a connection."""
    ends = f":{port:04X} 0100007F:{number:04X} "
    return next((line.split()[3] for line in Path("/proc/net/tcp").read_text().splitlines() if ends in line), "")
