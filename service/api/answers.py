"""Responses about one row, and POSTs that are carried out once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service.adapters import idempotency
from service.adapters.idempotency import Answer
from service.adapters.repository import Row
from service.api.dependencies import Work
from service.api.preconditions import etag, unchanged
from service.core.errors import InvalidInput

_JSON = "application/json"
_KEY = re.compile(r"[!-~]{1,255}")

IdempotencyKey = Annotated[
    str,
    Header(
        description="Any text of 1 to 255 visible characters. The same request with the same key is carried out once: "
        "within 24 hours, its answer is given again",
        examples=["7f9c24e8-3b12-4a5e-9b56-0f6ac5f5b1a4"],
        json_schema_extra={"pattern": f"^{_KEY.pattern}$"},
    ),
]


def shown(request: Request, row: Row) -> Response:
    """200 with the row, or 304 when the client has it already."""
    headers = {"etag": etag(row.version)}
    if request.method in ("GET", "HEAD") and unchanged(request, row.version):
        return Response(status_code=304, headers=headers)
    return Response(row.json, media_type=_JSON, headers=headers)


def created(request: Request, row: Row) -> Response:
    """201 with the row and where it is."""
    location = f"{request.scope['path'].rstrip('/')}/{row.id}"
    return Response(row.json, 201, media_type=_JSON, headers={"etag": etag(row.version), "location": location})


def gone() -> Response:
    """204: there is nothing to say."""
    return Response(status_code=204)


async def once(
    request: Request, work: Work, key: str | None, body: BaseModel, make: Callable[[], Awaitable[Response]]
) -> Response:
    """What `make` answers; for a key that was used before, what was answered then.

    `body` is what tells one request of that key from another. Raises InvalidInput for a key that came with another request.
    """
    if key is None:
        return await make()
    if not _KEY.fullmatch(key):
        raise InvalidInput("an idempotency key has 1 to 255 visible characters", field="Idempotency-Key")
    caller, driver = work.caller, work.driver
    # Without a password: a fast hash of it must be nowhere.
    asked = f"{request.method} {request.scope['path']}\n{body.model_dump_json(exclude={'password'})}"
    fingerprint = hashlib.sha256(asked.encode()).digest()
    earlier = await idempotency.claim(driver, caller.tenant_id, caller.user_id, key, fingerprint)
    if earlier is not None:
        if earlier.fingerprint != fingerprint:
            raise InvalidInput(
                "this key came with another request before",
                field="Idempotency-Key",
                code="IDEMPOTENCY_KEY_REUSED",
                hint="a new request needs a new key",
            )
        return _again(earlier.answer)
    response = await make()
    answer = Answer(
        response.status_code, bytes(response.body), response.headers.get("location"), response.headers.get("etag")
    )
    await idempotency.remember(driver, caller.tenant_id, caller.user_id, key, answer)
    return response


def _again(answer: Answer) -> Response:
    headers = {"idempotent-replayed": "true"}
    if answer.location is not None:
        headers["location"] = answer.location
    if answer.etag is not None:
        headers["etag"] = answer.etag
    return Response(answer.body, answer.status, media_type=_JSON, headers=headers)
