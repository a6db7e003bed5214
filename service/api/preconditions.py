"""ETags are row versions: which one a client has, and which one its change is meant for."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Header
from starlette.requests import Request

from service.adapters.repository import ANY
from service.core.errors import InvalidInput, PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)')
ETAGS = r'^(\*|(W/)?"[^"]*"(, ?(W/)?"[^"]*")*)$'  # in the OpenAPI document
_LARGEST = 2**31 - 1  # what a row version can be

IfMatch = Annotated[
    str,
    Header(
        description='The ETag of the version that this is meant for, such as "3"; * for whatever version',
        examples=['"3"'],
        json_schema_extra={"pattern": ETAGS},
    ),
]
# What such a header is by default. `str | None` would say so as well, and tell the OpenAPI document that it may be null.
NOT_SENT: Any = None


def etag(version: int) -> str:
    """The ETag of a row version."""
    return f'"{version}"'


def wanted(header: str | None, *, required: bool = True) -> frozenset[int]:
    """The versions that a change is meant for, ANY for whichever there is.

    Raises PreconditionRequired where a change must say so and does not, InvalidInput for what is no list of ETags, and
    PreconditionFailed for ETags that no row ever has.
    """
    if header is None:
        if required:
            raise PreconditionRequired(
                "this change must say which version it is meant for",
                hint="send the ETag that you read as If-Match, or If-Match: * for whatever version there is",
            )
        return ANY
    if header.strip() == "*":
        return ANY
    versions = frozenset(
        int(text)
        for weak, text in _tags(header)
        if not weak and text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _LARGEST
    )
    if not versions:
        raise PreconditionFailed("no version of this has that ETag")
    return versions


def unchanged(request: Request, version: int) -> bool:
    """Whether the client has this version already, by its If-None-Match."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    return header.strip() == "*" or any(text == str(version) for _, text in _tags(header))


def _tags(header: str) -> list[tuple[bool, str]]:
    found: list[tuple[bool, str]] = []
    place = 0
    while match := _TAG.match(header, place):
        found.append((bool(match[1]), match[2]))
        place = match.end()
    if not found or place < len(header):
        raise InvalidInput('this is not a list of ETags such as "3"', field="If-Match", code="MALFORMED_ETAG")
    return found
