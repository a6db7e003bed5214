"""What the OpenAPI document says of each kind of endpoint beyond its success: every status, and the headers that matter."""

from __future__ import annotations

import http
from typing import Any

from service.api.preconditions import ETAGS
from service.api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_WHEN = {
    400: "The request is malformed, or for another host",
    401: "No credential, or one that does not hold",
    403: "The credential does not allow this",
    404: "There is no such thing, or not for this tenant",
    408: "The body did not arrive in time",
    409: "It contradicts what is there",
    412: "It has changed meanwhile",
    413: "The body is too large",
    414: "The URL is too long",
    422: "The request breaks the rules of this endpoint",
    431: "The headers are too long",
    428: "The change does not say which version it is meant for",
    429: "Too many requests; Retry-After says when to come back",
    503: "Something that this needs is away; Retry-After says when to come back",
}
_EXAMPLES = {
    400: ("MALFORMED_JSON", "the body is not JSON"),
    401: ("UNAUTHENTICATED", "this API key is not valid"),
    403: ("ROLE_REQUIRED", "this needs the role member; you are viewer"),
    404: ("PROJECT_UNKNOWN", "there is no project of that id"),
    408: ("BODY_TIMEOUT", "the body did not arrive in time"),
    409: ("SLUG_TAKEN", "there is a project of that slug already"),
    412: ("PRECONDITION_FAILED", "this project has changed meanwhile; it is at version 4"),
    413: ("BODY_TOO_LARGE", "the body is longer than 8388608 bytes"),
    414: ("URL_TOO_LONG", "the URL is longer than 8192 bytes"),
    422: ("INVALID", "the request breaks the rules of this endpoint"),
    428: ("PRECONDITION_REQUIRED", "this change must say which version it is meant for"),
    429: ("RATE_LIMITED", "this tenant has sent more than 6000 requests in a minute"),
    431: ("HEADERS_TOO_LARGE", "the headers are more than 100, or longer than 32768 bytes"),
    503: ("DATABASE_UNAVAILABLE", "PostgreSQL cannot be reached"),
}
_ETAG = {"ETag": {"description": "The row's version, for If-Match", "schema": {"type": "string", "examples": ['"3"']}}}
_LOCATION = {"Location": {"description": "Where it is", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}


def problems(*statuses: int) -> Responses:
    """The problems that an endpoint may answer; the head of a request may be too long for any."""
    return {status: _problem(status) for status in sorted({*statuses, 414, 431})}


def _problem(status: int) -> dict[str, Any]:
    code, detail = _EXAMPLES[status]
    example = {
        "type": f"urn:jeex:problem:{code.lower().replace('_', '-')}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": "/api/v1/projects",
        "code": code,
        "request_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    described: dict[str, Any] = {
        "description": _WHEN[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in (429, 503):
        described["headers"] = _RETRY
    return described


_ALWAYS = (400, 401, 403, 422, 429, 503)
_BODY = (408, 413)
LISTED = problems(*_ALWAYS)
READ: Responses = {
    **problems(*_ALWAYS, 404),
    200: {"headers": _ETAG},
    304: {"description": "The client has this version already", "headers": _ETAG},
}
CREATED: Responses = {**problems(*_ALWAYS, *_BODY, 404, 409), 201: {"headers": {**_ETAG, **_LOCATION}}}
ACCEPTED: Responses = {**problems(*_ALWAYS, 404), 202: {"headers": _LOCATION}}
CHANGED: Responses = {**problems(*_ALWAYS, *_BODY, 404, 409, 412, 428), 200: {"headers": _ETAG}}
DELETED = problems(*_ALWAYS, 404, 409, 412)
RESTORED: Responses = {**problems(*_ALWAYS, 404, 409), 200: {"headers": _ETAG}}
PURGED = problems(*_ALWAYS, 404, 409)
# Read from the request where it matters: as a parameter of the endpoint it would cost every request, and few have it.
CONDITIONAL: dict[str, Any] = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "The ETag that the client has: 304 when it still holds",
            "schema": {"type": "string", "pattern": ETAGS, "examples": ['"3"']},
        }
    ]
}
