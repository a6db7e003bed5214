"""Request lines and headers that are too much, mean two things or lie, against a server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.service import limited
from tests.integration.service.sockets import CHUNKED, GET, HOST, POST, WHERE, chunk, connected


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where limited.py listens."""
    with limited.served(tmp_path_factory.mktemp("limited") / "log") as number:
        yield number


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (GET + b"a: " + b"b" * 2**20, (431, "HEADERS_TOO_LARGE")),
        (GET + b"a" * 2**20, (431, "HEADERS_TOO_LARGE")),
        (GET + b"a: b\r\n" * 100_000, (431, "HEADERS_TOO_LARGE")),
        (GET + b"a: b\r\n" * 100, (431, "HEADERS_TOO_LARGE")),
        (GET + b"a: " + b"b" * 33_000 + b"\r\n", (431, "HEADERS_TOO_LARGE")),
        (b"GET /%b HTTP/1.1\r\n%b" % (b"a" * 8192, HOST), (414, "URL_TOO_LONG")),
        (b"GET /where?%b HTTP/1.1\r\n%b" % (b"a" * 102_400, HOST), (414, "URL_TOO_LONG")),
        (b"\r\n" * 50_000, (431, "HEADERS_TOO_LARGE")),
        (b"GET /where\xff HTTP/1.1\r\n" + HOST, (400, "MALFORMED_REQUEST")),
        (GET + b"a: \0\r\n", (400, "MALFORMED_REQUEST")),
        (GET + b"a : b\r\n", (400, "MALFORMED_REQUEST")),
        (GET + b" folded\r\n", (400, "MALFORMED_REQUEST")),
        (b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST, (400, "MALFORMED_REQUEST")),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", (400, "MALFORMED_REQUEST")),
    ],
)
def test_a_head_that_is_too_much_or_none(port: int, head: bytes, expected: tuple[int, str]) -> None:
    with connected(port) as one:
        one.send(head + b"\r\n")
        assert one.problem() == (*expected, "close")
        assert one.closed()


def test_a_head_may_come_in_pieces_up_to_the_limit(port: int) -> None:
    with connected(port) as one:
        for _ in range(2):
            one.send(GET, b"a: ", *[b"b" * 8_000] * 3, b"\r\n", *[b"c: d\r\n"] * 98, b"\r\n", pause=0.001)
            assert one.answer()[:2] == (200, WHERE)


@pytest.mark.parametrize(
    ("line", "code"), [(b"GET /" + b"a" * 60_000, "URL_TOO_LONG"), (GET + b"a: " + b"b" * 60_000, "HEADERS_TOO_LARGE")]
)
def test_what_never_ends_is_not_waited_for(port: int, line: bytes, code: str) -> None:
    with connected(port) as one:
        one.send(*[line[at : at + 3000] for at in range(0, len(line), 3000)], pause=0.001)
        assert one.problem()[1:] == (code, "close")


@pytest.mark.parametrize("following", [b"garbage\r\n\r\n", GET + b"a: " + b"b" * 400_000])
def test_what_follows_a_request_is_neither_its_answer_nor_the_end_of_it(port: int, following: bytes) -> None:
    with connected(port) as one:
        one.send(GET.replace(b"where", b"slow") + b"\r\n", following, pause=0.05)
        assert one.problem()[:2] == (503, "REQUEST_TIMEOUT")
        assert one.closed()
    with connected(port) as one:  # with them in one go, and more after
        one.send(2 * (GET + b"\r\n") + following, b"more", pause=0.001)
        assert [one.answer()[:2] for _ in range(2)] == 2 * [(200, WHERE)]
        assert one.closed()


def test_what_was_answered_is_not_answered_again(port: int) -> None:
    with connected(port) as one:
        one.send(POST.replace(b"/json", b"/unread") + CHUNKED + chunk(5))
        assert one.answer()[0] == 200
        one.send(b"garbage\r\n")
        assert one.closed()


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 20_000, b"a: " + b"b" * 100_000 + b"\r\n"])
def test_trailers_have_an_end(port: int, trailer: bytes) -> None:
    with connected(port) as one:
        one.send(POST + CHUNKED + b"0\r\n", *[trailer[at : at + 1000] for at in range(0, len(trailer), 1000)], pause=0.001)
        assert one.problem() == (431, "HEADERS_TOO_LARGE", "close")


def test_trailers_are_no_headers(port: int) -> None:
    start = POST.replace(b"/json", b"/headers") + CHUNKED
    for parts in (
        [start + b"0\r\nAuthorization: Bearer x\r\n\r\n"],
        [start, chunk(3), b"0\r\nHost: evil.example\r\n", b"\r\n"],
    ):
        with connected(port) as one:
            one.send(*parts, pause=0.05)
            assert one.answer()[:2] == (200, '["host","content-type","transfer-encoding"]')


def test_an_upgrade_is_ignored_and_ends_the_connection(port: int) -> None:
    with connected(port) as one:
        one.send(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", GET + b"\r\n", pause=0.05)
        status, body, headers = one.answer()
        assert (status, body, headers["connection"]) == (200, WHERE, "close")
        assert one.closed()


def test_another_host_is_not_served(port: int) -> None:
    for fields in (
        b"Host: evil.example\r\n",
        b"Host: evil.example\r\nX-Forwarded-Host: localhost\r\n",
        b"Host: evil.example\r\nForwarded: host=localhost\r\n",
        HOST + b"Host: evil.example\r\n",
        b"Host: localhost@evil.example\r\n",
        b"Host:\r\n",
        b"",
    ):
        with connected(port) as one:
            one.send(b"GET /where HTTP/1.1\r\n" + fields + b"\r\n")
            assert one.problem() == (400, "HOST_NOT_ALLOWED", "")


def test_only_host_says_where_we_are(port: int) -> None:
    with connected(port) as one:
        one.send(GET + b"X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n\r\n")
        assert one.answer()[1] == WHERE
        one.send(b"GET http://evil.example/where HTTP/1.1\r\n" + HOST + b"\r\n")
        assert one.answer()[1] == WHERE


def test_head_is_get_without_content(port: int) -> None:
    with connected(port) as one:
        one.send(GET + b"\r\n")
        _, body, got = one.answer()
        one.send(GET.replace(b"GET", b"HEAD") + b"\r\n")
        status, _, headed = one.answer(content=False)
        assert (status, headed["content-length"], headed.keys()) == (200, str(len(body)), got.keys())
        one.send(GET.replace(b"GET", b"HEAD").replace(b"where", b"nothing") + b"\r\n")
        assert one.answer(content=False)[0] == 404
        one.send(GET.replace(b"GET", b"OPTIONS") + b"\r\n")
        status, problem, headers = one.answer()
        assert (status, problem["code"], headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "GET")
        one.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        assert one.problem()[:2] == (404, "NOT_FOUND")
