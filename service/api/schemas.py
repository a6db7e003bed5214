"""What bodies look like. What comes in is checked here; what goes out is written by PostgreSQL and described here."""

from __future__ import annotations

import json
import math
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from service.models.project import CONTENT_LIMIT, METADATA_LIMIT
from service.services.naming import EMAIL, LINE
from service.services.passwords import LONGEST, SHORTEST

_DEPTH = 32  # of metadata; a limit that nobody reaches by honest means
_LINE = f"^{LINE}$"
_NO_NUL = r"^[^\x00]*$"  # the one character that PostgreSQL's text cannot hold


def _checked_metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _check(value, 0)
    if len(json.dumps(value, ensure_ascii=False).encode()) > METADATA_LIMIT:
        raise ValueError(f"metadata is more than {METADATA_LIMIT} bytes of JSON")
    return value


def _check(value: Any, depth: int) -> None:
    if depth > _DEPTH:
        raise ValueError(f"metadata is nested more than {_DEPTH} deep")
    match value:
        case str():
            if "\0" in value or (not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value)):
                raise ValueError("metadata holds a character that cannot be stored")
        case float():
            if not math.isfinite(value):
                raise ValueError("metadata holds a number that JSON does not have")
        case dict():
            for name, one in value.items():
                _check(name, depth)
                _check(one, depth + 1)
        case list():
            for one in value:
                _check(one, depth + 1)


def _checked_content(text: str) -> str:
    if len(text.encode()) > CONTENT_LIMIT:
        raise ValueError(f"content is more than {CONTENT_LIMIT} bytes of UTF-8")
    return text


def line(limit: int) -> StringConstraints:
    """A text of one line, without blanks around it, of up to `limit` characters."""
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=limit, pattern=_LINE)


Name = Annotated[str, line(200)]
Title = Annotated[str, line(300)]
TenantSlug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=63)]
Username = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,38}[a-z0-9]$")]
# The document tells the whole pattern; valid_email() checks it, and says in words what is wrong.
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=r"^[!-~]+$"),
    Field(json_schema_extra={"pattern": f"^{EMAIL}$"}),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST, pattern=_NO_NUL)]
NewPassword = Annotated[str, StringConstraints(min_length=SHORTEST, max_length=LONGEST, pattern=_LINE)]
Path = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$", max_length=512)]
Description = Annotated[str, StringConstraints(max_length=4000, pattern=_NO_NUL)]
Content = Annotated[str, StringConstraints(max_length=CONTENT_LIMIT, pattern=_NO_NUL), AfterValidator(_checked_content)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_checked_metadata)]
Role = Literal["owner", "admin", "member", "viewer"]
ProjectStatus = Literal["active", "archived"]
DocumentStatus = Literal["draft", "published", "archived"]
DocumentType = Literal["markdown", "text", "html", "json"]
JobStatus = Literal["queued", "running", "done", "dead", "cancelled"]
TenantStatus = Literal["active", "suspended"]
# In a change, what is left out stays as it is; null is no value of these.
_STAYS: Any = Field(default=None)


class Body(BaseModel):
    """A body that comes in: a field that nobody knows is a mistake, and silence about it would be another."""

    model_config = ConfigDict(extra="forbid")


class Lived(BaseModel):
    """What every row tells of its life."""

    id: uuid.UUID
    row_version: int = Field(description="Counts every change; the ETag")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class ProjectNew(Body):
    """A project to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slug": "handbook", "name": "Handbook"}]})

    slug: Slug
    name: Name
    description: Description = ""
    status: ProjectStatus = "active"
    metadata: Metadata = Field(default_factory=dict)


class ProjectChange(Body):
    """What is to be different. What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "The handbook", "status": "archived"}]})

    slug: Slug = _STAYS
    name: Name = _STAYS
    description: Description = _STAYS
    status: ProjectStatus = _STAYS
    metadata: Metadata = _STAYS


class Project(Lived):
    """A body of documents."""

    slug: str
    name: str
    description: str
    status: ProjectStatus
    metadata: dict[str, JsonValue]
    created_by: uuid.UUID | None


class DocumentNew(Body):
    """A document to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "project_id": "0199d5a0-0000-7000-8000-000000000001",
                    "path": "guides/install",
                    "title": "Install",
                    "content": "# Install\n",
                }
            ]
        }
    )

    project_id: uuid.UUID
    path: Path
    title: Title
    type: DocumentType = "markdown"
    status: DocumentStatus = "draft"
    content: Content = ""
    metadata: Metadata = Field(default_factory=dict)


class DocumentChange(Body):
    """What is to be different. What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "published"}]})

    path: Path = _STAYS
    title: Title = _STAYS
    type: DocumentType = _STAYS
    status: DocumentStatus = _STAYS
    content: Content = _STAYS
    metadata: Metadata = _STAYS


class DocumentSummary(Lived):
    """A document in a list: without its content."""

    project_id: uuid.UUID
    path: str
    slug: str = Field(description="The last part of the path")
    title: str
    type: DocumentType
    status: DocumentStatus
    version: int = Field(description="Counts the editions: changes of path, title, type or content")
    metadata: dict[str, JsonValue]
    created_by: uuid.UUID | None


class Document(DocumentSummary):
    """A text at a path of a project."""

    content: str


class UserNew(Body):
    """A user to be made. Without a password, the user signs in by API key alone."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "bob@acme.example", "display_name": "Bob"}]})

    email: Email
    display_name: Name
    username: Username | None = None
    role: Role = "member"
    password: NewPassword | None = None


class UserChange(Body):
    """What is to be different. A password of null takes the password away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}]})

    email: Email = _STAYS
    display_name: Name = _STAYS
    username: Username | None = None
    role: Role = _STAYS
    password: NewPassword | None = None


class User(Lived):
    """A person, within one tenant."""

    email: str
    username: str | None
    display_name: str
    role: Role
    has_password: bool


class TenantNew(Body):
    """A tenant to be made, with its first user. The name is the slug in words by default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slug": "acme", "admin_email": "alice@acme.example"}]})

    slug: TenantSlug
    admin_email: Email
    name: Name | None = None


class TenantChange(Body):
    """What is to be different. A suspended tenant's credentials are refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "suspended"}]})

    slug: TenantSlug = _STAYS
    name: Name = _STAYS
    status: TenantStatus = _STAYS


class Tenant(Lived):
    """A customer of the platform."""

    slug: str
    name: str
    status: TenantStatus


class Owner(BaseModel):
    """The first user of a tenant."""

    id: uuid.UUID
    email: str
    display_name: str
    role: Role
    created_at: datetime


class TenantMade(BaseModel):
    """A new tenant."""

    tenant: Tenant
    owner: Owner
    key: str = Field(description="The owner's API key. It is stored nowhere and never shown again.")


class JobResult(BaseModel):
    """A file that a job has made."""

    name: str
    type: str
    bytes: int


class Job(BaseModel):
    """Something that is done without being waited for."""

    id: uuid.UUID
    kind: str = Field(description="project.export, purge, ...")
    status: JobStatus = Field(description="queued with attempts above 0: it failed, and will be tried again at run_at")
    progress: int | None = Field(ge=0, le=100, description="Percent; null where it cannot tell")
    message: str
    attempts: int = Field(description="Those that have begun")
    max_attempts: int
    error: str | None = Field(description="Why the last attempt failed")
    request_id: str | None = Field(description="Of the request that it is for")
    result: JobResult | None = Field(description="What there is to download")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime
