"""The two tenants that attack each other: made as any other, filled through the API, and gone afterwards.

Whoever is killed meanwhile leaves them; the next run knows them by their name and takes them away.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jeex_cli.ops import database
from jeex_cli.ops.verify.http import Api
from jeex_cli.session import Session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

NAME = "Isolation canary"
PREFIX = "jeex-canary-"
_SLUG = re.compile(rf"{PREFIX}[0-9a-f]{{12}}")
TOMORROW = 86_400  # seconds


@dataclass(slots=True)
class Canary:
    """One of the two. `tag` stands in every text of its rows, and nowhere else: who sees it has seen them.

    `ids` are its rows' by kind: project, document, user, key, job. `waiting` is a job that is not due today.
    """

    tenant_id: uuid.UUID
    slug: str
    tag: str
    owner_id: str
    key: str = field(repr=False)
    token: str = field(default="", repr=False)
    ids: dict[str, list[str]] = field(default_factory=dict)
    waiting: str = ""

    @property
    def every_id(self) -> list[str]:
        """The ids of all of its rows, and its own."""
        return [str(self.tenant_id), *(one for some in self.ids.values() for one in some)]

    def shown_in(self, text: str, *, but: Iterable[str] = ()) -> str:
        """What of this canary stands in `text`, beyond what was sent; "" where nothing does."""
        if self.tag in text.replace(self.slug, "") or (self.slug in text and self.slug not in but):
            return "its words"
        known = {one.replace("-", "") for one in but}
        bare = text.replace("-", "")
        found = next(
            (one for one in self.every_id if one.replace("-", "") not in known and one.replace("-", "") in bare), ""
        )
        return f"its id {found}" if found else ""


def make(session: Session) -> Canary:
    """A tenant with an owner and a key, as `jeex tenant create` makes them."""
    from service.services import tenants

    tag = secrets.token_hex(6)
    slug = f"{PREFIX}{tag}"
    made = database.in_transaction(
        session, lambda one: tenants.create(one, slug=slug, admin_email=_address(slug), name=NAME)
    )
    return Canary(made.tenant.id, slug, tag, str(made.owner.id), made.key.reveal())


def fill(api: Api, one: Canary) -> None:
    """A row of each kind that the API makes. Raises Unhealthy where it makes one not."""
    tag, key = one.tag, one.key
    project = api.made(
        "/api/v1/projects",
        key,
        {"slug": f"project-{tag}", "name": f"Project {tag}", "description": tag},
        headers={"Idempotency-Key": f"canary-{tag}"},
    )
    document = api.made(
        "/api/v1/documents",
        key,
        {"project_id": project["id"], "path": f"notes/{tag}", "title": f"Document {tag}", "content": f"Secret {tag}"},
    )
    user = api.made("/api/v1/users", key, {"email": f"second@{tag}.invalid", "display_name": f"User {tag}"})
    second = api.made("/api/v1/keys", key, {"name": f"Key {tag}"})
    job = api.made(f"/api/v1/projects/{project['id']}/export", key)
    one.token = api.made("/api/v1/tokens", key)["access_token"]
    one.ids = {
        "project": [project["id"]],
        "document": [document["id"]],
        "user": [user["id"], one.owner_id],
        "key": [second["id"]],
        "job": [job["id"]],
    }


def enqueue(session: Session, one: Canary, project_id: str, *, waits: bool = False) -> str:
    """A job of that canary that exports a project, whosever it is; the job's id. Made as the API makes it, but unchecked.

    One that `waits` is sent tomorrow: until then only a message of somebody else's may have a worker look at it.
    """
    from datetime import UTC, datetime, timedelta

    from service.adapters.database import bind_tenant, driver_of
    from service.services.jobs import EXPORT, PostgresQueue

    async def work(transaction: AsyncSession) -> str:
        await bind_tenant(transaction, one.tenant_id)
        driver = await driver_of(transaction)
        due = datetime.now(UTC) + timedelta(seconds=TOMORROW) if waits else None
        job = await PostgresQueue().enqueue(driver, one.tenant_id, EXPORT, {"project_id": project_id}, run_at=due)
        if waits:  # by its row it is due: nothing but that nobody sends it keeps it waiting
            await driver.execute("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND id = $2", one.tenant_id, job.id)
        return str(job.id)

    job_id = database.in_transaction(session, work)
    one.ids["job"].append(job_id)
    return job_id


def wait(session: Session, one: Canary) -> None:
    """A job of that canary's own which waits: while it does, there is a row that says when it is due."""
    one.waiting = enqueue(session, one, one.ids["project"][0], waits=True)


def left(session: Session) -> list[uuid.UUID]:
    """Canaries of runs that were killed. A tenant counts as one by its slug, its name and its owner's address."""
    from service.services import tenants

    async def work(one: AsyncSession) -> list[uuid.UUID]:
        found = []
        for tenant in await tenants.list_all(one):
            if tenant.name == NAME and _SLUG.fullmatch(tenant.slug):
                detail = await tenants.show(one, tenant.slug)
                if any(user.email == _address(tenant.slug) for user in detail.users):
                    found.append(tenant.id)
        return found

    return database.in_transaction(session, work)


def remove(session: Session, tenant_ids: Iterable[uuid.UUID]) -> None:
    """Take those tenants away, with all of their rows."""
    from service.adapters.database import driver_of
    from service.core.errors import NotFound
    from service.services import tenants

    async def work(one: AsyncSession) -> None:
        rows = tenants.rows(await driver_of(one))
        for tenant_id in tenant_ids:
            try:
                await rows.delete(tenant_id)
            except NotFound:
                continue  # it is gone already
            await rows.purge(tenant_id)

    database.in_transaction(session, work)


def _address(slug: str) -> str:
    return f"canary@{slug}.invalid"
