"""Projects of the caller's tenant."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.kinds import PROJECT
from service.api.answers import IdempotencyKey, created, gone, once, shown
from service.api.contract import ACCEPTED, CHANGED, CONDITIONAL, CREATED, DELETED, LISTED, PURGED, READ, RESTORED
from service.api.dependencies import HotListing, HotReading, Managing, PartsOf, Route, Writing
from service.api.edge import request_info
from service.api.paging import PageOf, Projects, asked, order, page_response
from service.api.preconditions import NOT_SENT, IfMatch, wanted
from service.api.schemas import Job, Project, ProjectChange, ProjectNew
from service.services import projects
from service.services.jobs import EXPORT

router = APIRouter(prefix="/api/v1/projects", tags=["projects"], route_class=Route)


@router.get("", summary="List projects", response_model=PageOf[Project], responses=LISTED)
async def list_projects(reads: HotListing, query: Projects) -> Response:
    """The tenant's projects, a page at a time."""
    return page_response(await reads.page(PROJECT, asked(PROJECT, query), order(query)), query)


@router.post("", summary="Create a project", status_code=201, response_model=Project, responses=CREATED)
async def create_project(
    request: Request, work: Writing, body: ProjectNew, idempotency_key: IdempotencyKey = NOT_SENT
) -> Response:
    """Needs the role member. The slug is free again once a project is deleted."""

    async def make() -> Response:
        return created(request, await projects.create(work.driver, work.caller, body.model_dump()))

    return await once(request, work, idempotency_key, body, make)


@router.get("/{project_id}", summary="Read a project", response_model=Project, responses=READ, openapi_extra=CONDITIONAL)
async def read_project(request: Request, reads: HotReading, project_id: uuid.UUID) -> Response:
    """One project, with its version as ETag."""
    return shown(request, await reads.row(PROJECT, project_id))


@router.patch("/{project_id}", summary="Change a project", response_model=Project, responses=CHANGED)
async def change_project(
    request: Request, work: Writing, project_id: uuid.UUID, body: ProjectChange, if_match: IfMatch = NOT_SENT
) -> Response:
    """Needs the role member, and the version that the change is meant for."""
    values = body.model_dump(exclude_unset=True)
    return shown(request, await projects.update(work.driver, work.caller, project_id, wanted(if_match), values))


@router.delete("/{project_id}", summary="Delete a project", status_code=204, responses=DELETED)
async def delete_project(work: Writing, project_id: uuid.UUID, if_match: IfMatch = NOT_SENT) -> Response:
    """Needs the role member. Its documents go with it; all of that can be restored until it is purged."""
    await projects.delete(work.driver, work.caller, project_id, wanted(if_match, required=False))
    return gone()


@router.post("/{project_id}/restore", summary="Restore a project", response_model=Project, responses=RESTORED)
async def restore_project(request: Request, work: Writing, project_id: uuid.UUID) -> Response:
    """Needs the role member. The documents that were deleted with it come back as well."""
    return shown(request, await projects.restore(work.driver, work.caller, project_id))


@router.post("/{project_id}/export", summary="Export a project", status_code=202, response_model=Job, responses=ACCEPTED)
async def export_project(request: Request, work: Writing, parts: PartsOf, project_id: uuid.UUID) -> Response:
    """Needs the role member. A job makes a zip of Markdown, one file a document; while it does, a second request gets it."""
    await projects.rows(work.driver, work.caller).get(project_id)
    info = request_info(request.scope)
    job = await parts.queue.enqueue(
        work.driver,
        work.caller.tenant_id,
        EXPORT,
        {"project_id": str(project_id)},
        unique_key=str(project_id),
        traceparent=info.traceparent,
        request_id=info.request_id,
    )
    return Response(job.json, 202, media_type="application/json", headers={"location": f"/api/v1/jobs/{job.id}"})


@router.post("/{project_id}/purge", summary="Purge a deleted project", status_code=204, responses=PURGED)
async def purge_project(work: Managing, project_id: uuid.UUID) -> Response:
    """Needs the role admin. The project and its documents are gone for good."""
    await projects.purge(work.driver, work.caller, project_id)
    return gone()
