"""A page of a list as it goes out. Its cursor is where it ended; it holds nothing that the client has not seen."""

from __future__ import annotations

import base64
import uuid

import orjson

from service.adapters.repository import Page


def body(page: Page, order: str) -> bytes:
    """The page as JSON; `order` is how the list is sorted, as the API says it."""
    following = b"null"
    if page.last is not None:
        following = b'"%b"' % _encode(order, *page.last)
    return b'{"items":[%b],"next_cursor":%b}' % (",".join(page.items).encode(), following)


def _encode(sort: str, value: object, row_id: uuid.UUID) -> bytes:
    return base64.urlsafe_b64encode(orjson.dumps([sort, value, row_id], default=str)).rstrip(b"=")
