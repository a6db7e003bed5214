"""Bodies and headers that no client sends in good faith: each is a 4xx problem, and the API goes on as before."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping

import pytest

from service.api.problems import MEDIA_TYPE
from tests.integration.service.client import House

_JSON = "application/json"


def sent(
    house: House, body: bytes, *, method: str = "POST", path: str = "/projects", headers: Mapping[str, str] = {}
) -> tuple[int, str]:
    """Status and problem code of one request of exactly these bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", house.owner.service.port, timeout=20)
    try:
        asked = {"Authorization": f"Bearer {house.owner.credential}", "Content-Type": _JSON, **headers}
        connection.request(method, f"/api/v1{path}", body, asked)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status < 400:
            return answer.status, ""
        assert answer.headers["content-type"] == MEDIA_TYPE, content
        return answer.status, json.loads(content)["code"]
    finally:
        connection.close()


BROKEN = {
    "nothing": b"",
    "blanks": b"  \n",
    "cut off": b'{"slug": "a", "name": "b',
    "no UTF-8": b'{"slug": "a", "name": "\xff\xfe"}',
    "half a character": b'{"slug": "a", "name": "\xe2\x82"}',
    "two values": b'{"slug": "a", "name": "b"} {}',
    "NaN": b'{"slug": "a", "name": "b", "metadata": {"x": NaN}}',
    "an endless number": b'{"slug": "a", "name": "b", "metadata": {"x": 1e999}}',
    "a very long number": b'{"slug": "a", "name": "b", "metadata": {"x": ' + b"9" * 100_000 + b"}}",
    "deep lists": b'{"slug": "a", "name": "b", "metadata": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep objects": b'{"slug": "a", "name": "b", "metadata": ' + b'{"x":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    "deep and never closed": b"[" * 1_000_000,
    "a list": b'[{"slug": "a", "name": "b"}]',
    "a text": b'"slug"',
    "null": b"null",
    "NUL in a name": b'{"slug": "a", "name": "b\\u0000c"}',
    "NUL in a name of metadata": b'{"slug": "a", "name": "b", "metadata": {"\\u0000": 1}}',
    "half a surrogate": b'{"slug": "a", "name": "\\ud800"}',
    "half a surrogate in metadata": b'{"slug": "a", "name": "b", "metadata": {"x": "\\udfff"}}',
    "a field that nobody knows": b'{"slug": "a", "name": "b", "tenant_id": "00000000-0000-0000-0000-000000000000"}',
    "a field of ours": b'{"slug": "a", "name": "b", "row_version": 7}',
    "another type": b'{"slug": ["a"], "name": {"b": 1}}',
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("content_type", [_JSON, "application/json; charset=utf-8", "application/merge-patch+json"])
def test_a_body_that_is_none(house: House, name: str, content_type: str) -> None:
    status, code = sent(house, BROKEN[name], headers={"Content-Type": content_type})
    assert (status, code) in ((400, "MALFORMED_JSON"), (422, "INVALID")), (status, code)
    assert house.owner.everything("/projects") == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", ";"])
def test_a_body_of_another_kind(house: House, content_type: str) -> None:
    status, code = sent(house, b'{"slug": "a", "name": "b"}', headers={"Content-Type": content_type})
    assert 400 <= status < 500, code
    assert house.owner.everything("/projects") == []


def test_a_packed_body_is_not_unpacked(house: House) -> None:
    assert sent(house, b"\x1f\x8b\x08\x00" * 10, headers={"Content-Encoding": "gzip"})[0] in (400, 415, 422)


HEADERS = {
    "no scheme": {"Authorization": "jx_1_2_3"},
    "another scheme": {"Authorization": "Basic YTpi"},
    "no credential": {"Authorization": "Bearer "},
    "Latin-1": {"Authorization": "Bearer j\xe9"},
    "a long one": {"Authorization": "Bearer " + "x" * 20_000},
    "a token of nothing": {"Authorization": "Bearer ..."},
    "a token of no JSON": {"Authorization": "Bearer YQ.YQ.YQ"},
    "a deep token": {"Authorization": "Bearer " + "W1tb" * 4_000 + ".YQ.YQ"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_credential_that_is_none(house: House, name: str) -> None:
    assert sent(house, b"", method="GET", headers=HEADERS[name]) in ((401, "UNAUTHENTICATED"), (503, "NO_VAULT"))


@pytest.mark.parametrize("key", ["\xe9", "a b", "x" * 256, " "])
def test_an_idempotency_key_that_is_none(house: House, key: str) -> None:
    assert sent(house, b'{"slug": "a", "name": "b"}', headers={"Idempotency-Key": key})[0] == 422
    assert house.owner.everything("/projects") == []


@pytest.mark.parametrize("tag", ["", "x", "3", '"', '"3', '"3" "4"', '"3",,"4"', "\xe9", '"3";q=1'])
def test_an_etag_that_is_none(house: House, tag: str) -> None:
    project = house.owner.made("/projects", slug="a", name="b")
    path = f"/projects/{project['id']}"
    assert sent(house, b'{"name": "c"}', method="PATCH", path=path, headers={"If-Match": tag}) == (422, "MALFORMED_ETAG")
    assert house.owner.get(path).body == project


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "X" * 30])
def test_a_method_that_is_none(house: House, method: str) -> None:
    status, _ = sent(house, b"", method=method)
    assert status in (400, 405), status


@pytest.mark.parametrize(
    "path",
    [
        "/projects/%00", "/projects/%ff", "/projects/..", "/projects/../../../etc/passwd", "/projects/" + "a" * 5_000,
        "/projects//", "/projects?%00=1", "/projects?sort=%ff", "/projects?limit=9" + "9" * 4_000, "/projects?created_by=x",
        "/projects?unknown=1", "/documents?below=%00", "/documents?path=a%00", "/documents?path=../a",
    ],
)  # fmt: skip
def test_a_url_that_is_none(house: House, path: str) -> None:
    status, _ = sent(house, b"", method="GET", path=path)
    assert 400 <= status < 500
