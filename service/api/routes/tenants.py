"""Tenants, for whoever has the installation's administration key."""

from __future__ import annotations

import uuid
from dataclasses import replace

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.adapters.kinds import TENANT
from service.api.answers import created, gone, shown
from service.api.contract import CHANGED, CONDITIONAL, CREATED, DELETED, LISTED, PURGED, READ, RESTORED
from service.api.dependencies import Operator, Route
from service.api.paging import PageOf, Tenants, asked, page_response
from service.api.preconditions import NOT_SENT, IfMatch, wanted
from service.api.schemas import Tenant, TenantChange, TenantMade, TenantNew
from service.services import tenant_life, tenants

router = APIRouter(prefix="/api/v1/tenants", tags=["tenants"], route_class=Route)


@router.get("", summary="List tenants", response_model=PageOf[Tenant], responses=LISTED)
async def list_tenants(administration: Operator, query: Tenants) -> Response:
    """Every tenant, a page at a time."""
    async with administration.direct(pages=True) as driver:
        page = await tenants.rows(driver).page(asked(TENANT, query))
    return page_response(page, query)


@router.post("", summary="Create a tenant", status_code=201, response_model=TenantMade, responses=CREATED)
async def create_tenant(request: Request, administration: Operator, body: TenantNew) -> Response:
    """A tenant, its first user (role owner) and an API key of that user, which is shown this once."""
    async with administration.transaction() as session:
        made = await tenants.create(session, slug=body.slug, admin_email=body.admin_email, name=body.name)
    async with administration.direct() as driver:
        row = await tenants.rows(driver).get(made.tenant.id)
    body_of = f'{{"tenant":{row.json},"owner":{orjson.dumps(made.owner, default=str).decode()},"key":"{made.key.reveal()}"}}'
    return created(request, replace(row, json=body_of))


@router.get("/{tenant_id}", summary="Read a tenant", response_model=Tenant, responses=READ, openapi_extra=CONDITIONAL)
async def read_tenant(request: Request, administration: Operator, tenant_id: uuid.UUID) -> Response:
    """One tenant, with its version as ETag."""
    async with administration.direct() as driver:
        row = await tenants.rows(driver).get(tenant_id)
    return shown(request, row)


@router.patch("/{tenant_id}", summary="Change a tenant", response_model=Tenant, responses=CHANGED)
async def change_tenant(
    request: Request, administration: Operator, tenant_id: uuid.UUID, body: TenantChange, if_match: IfMatch = NOT_SENT
) -> Response:
    """Rename, suspend or reactivate it. A suspended tenant's keys and tokens are refused at once."""
    versions = wanted(if_match)
    async with administration.direct() as driver:
        row = await tenant_life.change(driver, tenant_id, versions, body.model_dump(exclude_unset=True))
    return shown(request, row)


@router.delete("/{tenant_id}", summary="Delete a tenant", status_code=204, responses=DELETED)
async def delete_tenant(administration: Operator, tenant_id: uuid.UUID, if_match: IfMatch = NOT_SENT) -> Response:
    """Its credentials are refused from then on. It can be restored, with everything, until it is purged."""
    versions = wanted(if_match, required=False)
    async with administration.direct() as driver:
        await tenant_life.delete(driver, tenant_id, versions)
    return gone()


@router.post("/{tenant_id}/restore", summary="Restore a tenant", response_model=Tenant, responses=RESTORED)
async def restore_tenant(request: Request, administration: Operator, tenant_id: uuid.UUID) -> Response:
    """It and everything of it is as it was."""
    async with administration.direct() as driver:
        row = await tenant_life.restore(driver, tenant_id)
    return shown(request, row)


@router.post("/{tenant_id}/purge", summary="Purge a deleted tenant", status_code=204, responses=PURGED)
async def purge_tenant(administration: Operator, tenant_id: uuid.UUID) -> Response:
    """The tenant, its users, keys, projects and documents are gone for good."""
    async with administration.direct() as driver:
        await tenant_life.purge(driver, tenant_id)
    return gone()
