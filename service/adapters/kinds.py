"""What the API's collections are made of, as data: their columns, and what a list of them may be asked.

A sort or a filter that is not here does not exist: each is answered by an index (see the models), and no text of a request
ever becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Taken:
    """What it means when a unique index refuses a row."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A table as the API shows it.

    `columns` maps the API's names to columns; `heavy` are those that a list leaves out, `as_json` those that hold JSON.
    `sorts` maps the API's name of an order to its column. `filters` compare for equality, `prefixes` ask for what begins
    with a text, in columns that sort as bytes. `taken` says what it means when a unique index refuses a row, `missing` when
    there is nothing at the end of a foreign key.
    """

    name: str
    table: str
    columns: Mapping[str, str]
    sorts: Mapping[str, str]
    filters: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    heavy: frozenset[str] = frozenset()
    as_json: frozenset[str] = frozenset()
    taken: Mapping[str, Taken] = field(default_factory=dict)
    missing: Mapping[str, Taken] = field(default_factory=dict)
    of_tenant: bool = True


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_LIFE = _same("row_version", "created_at", "updated_at", "deleted_at")
# Ids are UUIDs of version 7: their order is that of creation.
_AGE = {"created_at": "id", "updated_at": "updated_at"}

TENANT = Kind(
    name="tenant",
    table="tenant",
    columns=_same("id", "slug", "name", "status") | _LIFE,
    sorts=_AGE | _same("slug", "name"),
    filters=_same("status"),
    taken={"uq_tenant_slug": Taken("slug", "SLUG_TAKEN", "there is a tenant of that slug already")},
    of_tenant=False,
)

USER = Kind(
    name="user",
    table="app_user",
    columns=_same("id", "email", "username", "display_name", "role") | {"has_password": "password_hash IS NOT NULL"} | _LIFE,
    sorts=_AGE | {"email": "email_norm"} | _same("display_name"),
    filters=_same("role", "username") | {"email": "email_norm"},
    taken={
        "uq_app_user_tenant_id_email_norm": Taken("email", "EMAIL_TAKEN", "there is a user of that address already"),
        "uq_app_user_tenant_id_username": Taken("username", "USERNAME_TAKEN", "there is a user of that name already"),
    },
)

PROJECT = Kind(
    name="project",
    table="project",
    columns=_same("id", "slug", "name", "description", "status", "metadata", "created_by") | _LIFE,
    sorts=_AGE | _same("slug", "name"),
    filters=_same("slug", "status", "created_by"),
    as_json=frozenset({"metadata"}),
    taken={"uq_project_tenant_id_slug": Taken("slug", "SLUG_TAKEN", "there is a project of that slug already")},
)

DOCUMENT = Kind(
    name="document",
    table="document",
    columns=_same("id", "project_id", "path", "slug", "title", "type", "status", "content", "version")
    | _same("metadata", "created_by")
    | _LIFE,
    sorts=_AGE | _same("path", "title"),
    filters=_same("project_id", "path", "slug", "type", "status", "created_by"),
    prefixes={"below": "path"},
    heavy=frozenset({"content"}),
    as_json=frozenset({"metadata"}),
    taken={
        "uq_document_tenant_id_project_id_path": Taken(
            "path", "PATH_TAKEN", "there is a document at that path of the project already"
        )
    },
    missing={"fk_document_project": Taken("project_id", "PROJECT_UNKNOWN", "there is no project of that id")},
)

# Jobs have no versions and are never deleted softly: adapters/jobs.py has their statements.
JOB = Kind(
    name="job",
    table="job",
    columns=_same("id", "kind", "status", "progress", "message", "attempts", "max_attempts", "error", "request_id", "result")
    | _same("created_at", "started_at", "finished_at", "run_at"),
    sorts={"created_at": "id"},
    filters=_same("status"),
)
