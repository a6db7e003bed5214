"""Jobs of the caller's tenant: what is done without being waited for."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from service.adapters import jobs as rows
from service.adapters.kinds import JOB
from service.api.contract import LISTED, problems
from service.api.dependencies import Caller, Listing, PartsOf, Reading, Route, Writing
from service.api.event_stream import events
from service.api.limits import lift_deadline
from service.api.methods import is_head
from service.api.paging import Jobs, PageOf, asked, page_response
from service.api.schemas import Job
from service.core.errors import Conflict, NotFound
from service.services import jobs

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], route_class=Route)

_FOUND = problems(400, 401, 403, 404, 422, 429, 503)
_CHANGED = problems(400, 401, 403, 404, 409, 422, 429, 503)
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_RESULT: dict[int | str, dict[str, Any]] = {
    **_CHANGED,
    200: {"description": "The file", "content": {"application/zip": _BINARY}},
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    **problems(400, 401, 403, 429, 503),
    200: {
        "description": "`event: job` with the job as `data`, for each that is not finished and then for every change; a "
        "comment every 15 seconds. Ends when the credential does",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


@router.get("", summary="List jobs", response_model=PageOf[Job], responses=LISTED)
async def list_jobs(work: Listing, query: Jobs) -> Response:
    """The tenant's jobs, newest first, a page at a time."""
    wanted = asked(JOB, query)
    page = await rows.page(
        work.driver,
        work.caller.tenant_id,
        limit=wanted.limit,
        descending=wanted.descending,
        status=query.status,
        after=wanted.after[1] if wanted.after else None,
    )
    return page_response(page, query)


@router.get("/events", summary="Watch jobs", responses=_EVENTS, response_class=StreamingResponse)
async def watch_jobs(request: Request, caller: Caller, parts: PartsOf) -> Response:
    """Server-sent events, for whoever sends the Authorization header. 10 at a time for a tenant and process."""
    headers = {"x-accel-buffering": "no"}
    if is_head(request.scope):
        return Response(media_type="text/event-stream", headers=headers)
    watching = parts.feed.watching(caller.tenant_id)
    watcher = watching.__enter__()
    lift_deadline(request.scope)
    stream = events(request, parts, caller, watcher)
    return _Watched(stream, watching, media_type="text/event-stream", headers=headers)


class _Watched(StreamingResponse):
    """A stream that lets go of what it watches, however it ends."""

    def __init__(self, content: Any, watching: Any, **options: Any) -> None:
        super().__init__(content, **options)
        self._watching = watching

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watching.__exit__(None, None, None)


@router.get("/{job_id}", summary="Read a job", response_model=Job, responses=_FOUND)
async def read_job(work: Reading, job_id: uuid.UUID) -> Response:
    """One job, as it is now."""
    return _shown(await jobs.get(work.driver, work.caller.tenant_id, job_id))


@router.get("/{job_id}/result", summary="Download what a job has made", responses=_RESULT, response_class=Response)
async def read_job_result(request: Request, caller: Caller, parts: PartsOf, job_id: uuid.UUID) -> Response:
    """The file of an export. It is kept for as long as its job, a week."""
    async with parts.database.direct(caller.tenant_id) as driver:
        row = await jobs.get(driver, caller.tenant_id, job_id)
        about = await rows.result(driver, caller.tenant_id, job_id)
    if about is None:
        if row.status in ("queued", "running"):
            raise Conflict(f"this job is {row.status}", code="JOB_NOT_DONE", hint="come back when it is done")
        raise NotFound("this job has made no file", code="RESULT_UNKNOWN")
    lift_deadline(request.scope)
    return StreamingResponse(
        rows.parts(parts.database, caller.tenant_id, job_id),
        media_type=str(about["type"]),
        headers={
            "content-length": str(about["bytes"]),
            "content-disposition": f'attachment; filename="{about["name"]}"',
        },
    )


@router.post("/{job_id}/cancel", summary="Cancel a job", response_model=Job, responses=_CHANGED)
async def cancel_job(work: Writing, job_id: uuid.UUID) -> Response:
    """Needs the role member. One that waits is cancelled at once; one that runs is asked to stop, and does soon."""
    return _shown(await jobs.cancel(work.driver, work.caller.tenant_id, job_id))


@router.post("/{job_id}/retry", summary="Try a job again", response_model=Job, responses=_CHANGED)
async def retry_job(work: Writing, job_id: uuid.UUID) -> Response:
    """Needs the role member. A dead or cancelled job begins anew, with all of its attempts."""
    return _shown(await jobs.retry(work.driver, work.caller.tenant_id, job_id))


def _shown(row: rows.JobRow) -> Response:
    return Response(row.json, media_type="application/json")
