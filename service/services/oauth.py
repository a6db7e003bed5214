"""Credentials of OAuth providers: where they stand in Vault, and typed access to them.

A provider's endpoints are public and known by its name; what is kept is who we are there. A provider of another name is one
of one's own, whose issuer has to be said (OpenID Connect finds its endpoints from that).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.core.errors import InvalidInput, NotFound
from service.core.settings import Secret
from service.services.secrets import OAUTH

if TYPE_CHECKING:
    from service.adapters.secret_cache import SecretCache

_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}")
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is asked. `issuer` is "" for one that is no OpenID provider."""

    authorize: str
    token: str
    issuer: str
    scopes: tuple[str, ...]


_OIDC = ("openid", "email", "profile")
PROVIDERS: Mapping[str, Endpoints] = MappingProxyType(
    {
        "google": Endpoints(
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com",
            _OIDC,
        ),
        "github": Endpoints(
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            "",
            ("read:user", "user:email"),
        ),
        "gitlab": Endpoints(
            "https://gitlab.com/oauth/authorize", "https://gitlab.com/oauth/token", "https://gitlab.com", _OIDC
        ),
        "microsoft": Endpoints(
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "https://login.microsoftonline.com/common/v2.0",
            _OIDC,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who we are at a provider. `endpoints` is None for one of one's own: ask its issuer."""

    provider: str
    client_id: str
    client_secret: Secret
    issuer: str
    endpoints: Endpoints | None


def path_of(provider: str) -> str:
    """Where a provider's credentials stand. Raises InvalidInput."""
    if not _NAME.fullmatch(provider):
        raise InvalidInput("a provider's name is of lower-case letters, digits and hyphens", field="provider")
    return f"{OAUTH}/{provider}"


def stored(provider: str, client_id: str, client_secret: str, issuer: str = "") -> dict[str, str]:
    """What is written there. Raises InvalidInput for what cannot be right."""
    path_of(provider)
    for field, text in (("client_id", client_id), ("client_secret", client_secret)):
        if not text or text != text.strip() or not text.isprintable():
            raise InvalidInput(f"{field} is empty, or holds spaces at an end or control characters", field=field)
    if provider not in PROVIDERS and not issuer:
        names = ", ".join(sorted(PROVIDERS))
        raise InvalidInput(f"{provider} is none of {names}: say its issuer", field="issuer")
    parts = urlsplit(issuer)
    if issuer and not (
        parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))
    ):
        raise InvalidInput("an issuer is a URL of https", field="issuer")
    return {"client_id": client_id, "client_secret": client_secret} | ({"issuer": issuer} if issuer else {})


class OAuthProviders:
    """The providers' credentials as the service's code asks for them."""

    def __init__(self, secrets: SecretCache) -> None:
        self._secrets = secrets

    async def get(self, provider: str) -> OAuthClient:
        """Who we are at `provider`. Raises NotFound where nobody has said so, InvalidInput, VaultUnavailable."""
        found = await self._secrets.get(path_of(provider))
        if found is None:
            raise NotFound(
                f"there are no credentials for {provider}", code="OAUTH_UNKNOWN", hint=f"jeex secrets oauth set {provider}"
            )
        known = PROVIDERS.get(provider)
        return OAuthClient(
            provider,
            found.values["client_id"],
            Secret(found.values["client_secret"]),
            found.values.get("issuer") or (known.issuer if known else ""),
            known,
        )
