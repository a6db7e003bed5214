"""Short-lived tokens, for an API key or a password, and the keys that prove them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from service.api.contract import problems
from service.api.dependencies import Caller, Parts, PartsOf, Route
from service.api.schemas import Body, Email, Password, TenantSlug
from service.core.errors import Forbidden
from service.services.authentication import Principal
from service.services.sign_in import by_password

router = APIRouter(tags=["identity"], route_class=Route)


class Credentials(Body):
    """What a person signs in with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"tenant": "acme", "email": "alice@acme.example", "password": "correct horse battery"}]
        }
    )

    tenant: TenantSlug
    email: Email
    password: Password


class TokenOut(BaseModel):
    """A token, as OAuth 2.0 (RFC 6749, 5.1) writes it."""

    access_token: str = Field(description="A JWT, signed with ES256. Send it as `Authorization: Bearer ...`")
    token_type: str = Field("Bearer", examples=["Bearer"])
    expires_in: int = Field(description="Seconds that it holds", examples=[600])


class Jwks(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


@router.post(
    "/api/v1/tokens",
    summary="A token for an API key",
    status_code=201,
    response_model=TokenOut,
    responses=problems(400, 401, 403, 408, 413, 429, 503),
)
async def create_token(caller: Caller, parts: PartsOf) -> TokenOut:
    """Ten minutes of the key's rights, without the key: for a browser, or a program that is trusted less."""
    if caller.key_id is None:
        raise Forbidden("a token gets no further token", code="KEY_REQUIRED", hint="send an API key")
    return await _issued(caller, parts)


@router.post(
    "/api/v1/sign-in",
    summary="A token for a password",
    status_code=201,
    response_model=TokenOut,
    responses=problems(400, 401, 403, 408, 413, 422, 429, 503),
)
async def sign_in(parts: PartsOf, body: Credentials) -> TokenOut:
    """For people. Few attempts a minute for one address; what was wrong is not said."""
    if parts.administration is None:
        raise Forbidden("signing in with a password is off", code="SIGN_IN_OFF", hint="set DATABASE_ADMIN_URL")
    parts.attempts.hit(f"{body.tenant}/{body.email.lower()}")
    caller = await by_password(
        parts.database,
        parts.administration,
        parts.passwords,
        tenant=body.tenant,
        email=body.email,
        password=body.password,
    )
    return await _issued(caller, parts)


@router.get(
    "/.well-known/jwks.json", summary="The keys that prove tokens", response_model=Jwks, responses=problems(400, 503)
)
async def jwks(parts: PartsOf) -> JSONResponse:
    """Public keys by `kid`, for whoever checks tokens without asking us. A new one is here before it is first used."""
    return JSONResponse(await parts.tokens.jwks(), headers={"cache-control": "public, max-age=60"})


async def _issued(caller: Principal, parts: Parts) -> TokenOut:
    token = await parts.tokens.issue(
        tenant_id=caller.tenant_id, tenant_slug=caller.tenant_slug, user_id=caller.user_id, role=caller.role
    )
    return TokenOut(access_token=token.value.reveal(), token_type="Bearer", expires_in=token.expires_in)  # noqa: S106
