"""Documents of the caller's tenant."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.kinds import DOCUMENT
from service.api.answers import IdempotencyKey, created, gone, once, shown
from service.api.contract import CHANGED, CONDITIONAL, CREATED, DELETED, LISTED, PURGED, READ, RESTORED
from service.api.dependencies import HotListing, HotReading, Managing, Route, Writing
from service.api.paging import Documents, PageOf, asked, order, page_response
from service.api.preconditions import NOT_SENT, IfMatch, wanted
from service.api.schemas import Document, DocumentChange, DocumentNew, DocumentSummary
from service.services import documents

router = APIRouter(prefix="/api/v1/documents", tags=["documents"], route_class=Route)


@router.get("", summary="List documents", response_model=PageOf[DocumentSummary], responses=LISTED)
async def list_documents(reads: HotListing, query: Documents) -> Response:
    """The tenant's documents without their content, a page at a time; of one project with `project_id`."""
    return page_response(await reads.page(DOCUMENT, asked(DOCUMENT, query), order(query)), query)


@router.post("", summary="Create a document", status_code=201, response_model=Document, responses=CREATED)
async def create_document(
    request: Request, work: Writing, body: DocumentNew, idempotency_key: IdempotencyKey = NOT_SENT
) -> Response:
    """Needs the role member. The path is free again once a document is deleted."""

    async def make() -> Response:
        return created(request, await documents.create(work.driver, work.caller, body.model_dump()))

    return await once(request, work, idempotency_key, body, make)


@router.get("/{document_id}", summary="Read a document", response_model=Document, responses=READ, openapi_extra=CONDITIONAL)
async def read_document(request: Request, reads: HotReading, document_id: uuid.UUID) -> Response:
    """One document, with its version as ETag."""
    return shown(request, await reads.row(DOCUMENT, document_id))


@router.patch("/{document_id}", summary="Change a document", response_model=Document, responses=CHANGED)
async def change_document(
    request: Request, work: Writing, document_id: uuid.UUID, body: DocumentChange, if_match: IfMatch = NOT_SENT
) -> Response:
    """Needs the role member, and the version that the change is meant for."""
    values = body.model_dump(exclude_unset=True)
    return shown(request, await documents.update(work.driver, work.caller, document_id, wanted(if_match), values))


@router.delete("/{document_id}", summary="Delete a document", status_code=204, responses=DELETED)
async def delete_document(work: Writing, document_id: uuid.UUID, if_match: IfMatch = NOT_SENT) -> Response:
    """Needs the role member. It can be restored until it is purged."""
    await documents.delete(work.driver, work.caller, document_id, wanted(if_match, required=False))
    return gone()


@router.post("/{document_id}/restore", summary="Restore a document", response_model=Document, responses=RESTORED)
async def restore_document(request: Request, work: Writing, document_id: uuid.UUID) -> Response:
    """Needs the role member. The project must be there, and nothing else at its path."""
    return shown(request, await documents.restore(work.driver, work.caller, document_id))


@router.post("/{document_id}/purge", summary="Purge a deleted document", status_code=204, responses=PURGED)
async def purge_document(work: Managing, document_id: uuid.UUID) -> Response:
    """Needs the role admin. The document is gone for good."""
    await documents.purge(work.driver, work.caller, document_id)
    return gone()
