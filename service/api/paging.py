"""Lists, a page at a time. A cursor is where the page before it ended; it holds nothing that the client has not seen."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.adapters.kinds import Kind
from service.adapters.repository import Asked, Page
from service.api.schemas import (
    DocumentStatus,
    DocumentType,
    JobStatus,
    Path,
    ProjectStatus,
    Role,
    Slug,
    TenantStatus,
    Username,
)
from service.core.errors import InvalidInput
from service.services import pages

ItemT = TypeVar("ItemT")
_TIMES = ("updated_at", "deleted_at")


class PageOf(BaseModel, Generic[ItemT]):
    """A page of a list."""

    items: list[ItemT]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one")


class ListQuery(BaseModel):
    """What every list may be asked. A parameter that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="Items on a page")
    cursor: Annotated[str, Field(max_length=2000)] | None = Field(None, description="`next_cursor` of the page before")
    deleted: bool = Field(False, description="The deleted ones instead, by when they were deleted")


class TenantQuery(ListQuery):
    """A list of tenants."""

    sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "slug", "-slug", "name", "-name"] = "created_at"
    status: TenantStatus | None = None


class UserQuery(ListQuery):
    """A list of users."""

    sort: Literal[
        "created_at", "-created_at", "updated_at", "-updated_at", "email", "-email", "display_name", "-display_name"
    ] = "created_at"
    role: Role | None = None
    username: Username | None = None
    email: Annotated[str, Field(max_length=254, pattern=r"^[!-~]+$")] | None = None


class ProjectQuery(ListQuery):
    """A list of projects."""

    sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "slug", "-slug", "name", "-name"] = "created_at"
    slug: Slug | None = None
    status: ProjectStatus | None = None
    created_by: uuid.UUID | None = None


class DocumentQuery(ListQuery):
    """A list of documents."""

    sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "path", "-path", "title", "-title"] = (
        "created_at"
    )
    project_id: uuid.UUID | None = None
    path: Path | None = None
    below: Path | None = Field(None, description="Only documents whose path begins with this and a slash")
    slug: Annotated[str, Field(max_length=512, pattern=r"^[a-z0-9][a-z0-9._-]*$")] | None = None
    type: DocumentType | None = None
    status: DocumentStatus | None = None
    created_by: uuid.UUID | None = None


class JobQuery(BaseModel):
    """A list of jobs. They are never deleted as rows that people made are."""

    model_config = ConfigDict(extra="forbid")
    deleted: ClassVar[bool] = False

    limit: int = Field(50, ge=1, le=200, description="Items on a page")
    cursor: Annotated[str, Field(max_length=2000)] | None = Field(None, description="`next_cursor` of the page before")
    sort: Literal["created_at", "-created_at"] = "-created_at"
    status: JobStatus | None = None


Jobs = Annotated[JobQuery, Query()]
Tenants = Annotated[TenantQuery, Query()]
Users = Annotated[UserQuery, Query()]
Projects = Annotated[ProjectQuery, Query()]
Documents = Annotated[DocumentQuery, Query()]


def asked(kind: Kind, query: Any) -> Asked:
    """What a list query means for `kind`. Raises InvalidInput for a cursor that is none of this list."""
    by = order(query)
    sort, descending = by.removeprefix("-"), by.startswith("-")
    filters = {name: value for name in (*kind.filters, *kind.prefixes) if (value := getattr(query, name, None)) is not None}
    if "email" in filters:
        filters["email"] = str(filters["email"]).lower()
    if "below" in filters:
        filters["below"] = f"{filters['below']}/"
    after = None
    if query.cursor is not None:
        after = _decode(query.cursor, by, is_time=sort in _TIMES)
    return Asked(query.limit, sort, descending, query.deleted, filters, after)


def page_response(page: Page | bytes, query: Any) -> Response:
    """The page as it goes out, or what was one before."""
    return Response(page if isinstance(page, bytes) else pages.body(page, order(query)), media_type="application/json")


def order(query: Any) -> str:
    """The sort that a list has: deleted rows have one of their own."""
    return f"{'-' if query.sort.startswith('-') else ''}deleted_at" if query.deleted else str(query.sort)


def _decode(cursor: str, sort: str, *, is_time: bool) -> tuple[object, uuid.UUID]:
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        of, value, last = orjson.loads(raw)
        if of != sort or not isinstance(value, str) or "\0" in value:
            raise ValueError
        row_id = uuid.UUID(last)
        if sort.endswith("created_at"):  # asked by id, which stands for it
            return row_id, row_id
        if not is_time:
            return value, row_id
        when = datetime.fromisoformat(value)
        if when.tzinfo is None:
            raise ValueError
        return when, row_id
    except (ValueError, TypeError, AttributeError) as error:  # binascii's and orjson's errors are ValueErrors
        raise InvalidInput(
            "this is not a cursor of this list",
            field="cursor",
            code="CURSOR_UNKNOWN",
            hint="begin again without a cursor; sort must stay the same",
        ) from error
