"""Credentials of OAuth providers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.adapters.secret_store import LocalSecrets
from service.core.errors import InvalidInput, NotFound
from service.services.oauth import PROVIDERS, OAuthProviders, path_of, stored


class Cache:
    """Reads out of a store in memory."""

    def __init__(self) -> None:
        self.store = LocalSecrets()

    async def get(self, path: str) -> Any:
        return self.store.get(path)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_known_provider_comes_with_its_endpoints(provider: str) -> None:
    cache: Any = Cache()
    cache.store.put(path_of(provider), stored(provider, "the-id", "the-secret"))
    client = asyncio.run(OAuthProviders(cache).get(provider))
    assert (client.provider, client.client_id, client.client_secret.reveal()) == (provider, "the-id", "the-secret")
    assert client.endpoints is not None
    assert client.endpoints.authorize.startswith("https://")
    assert "the-secret" not in repr(client)


def test_one_of_ones_own_has_an_issuer() -> None:
    cache: Any = Cache()
    cache.store.put(path_of("acme"), stored("acme", "id", "secret", "https://id.acme.example"))
    client = asyncio.run(OAuthProviders(cache).get("acme"))
    assert (client.issuer, client.endpoints) == ("https://id.acme.example", None)


def test_one_that_nobody_has_set_is_not_found() -> None:
    cache: Any = Cache()
    with pytest.raises(NotFound) as caught:
        asyncio.run(OAuthProviders(cache).get("github"))
    assert caught.value.code == "OAUTH_UNKNOWN"
    assert "jeex secrets oauth set github" in caught.value.hint


@pytest.mark.parametrize(
    ("provider", "client_id", "secret", "issuer", "field"),
    [
        ("Google", "i", "s", "", "provider"),
        ("../api-pepper", "i", "s", "https://x.example", "provider"),
        ("github", "", "s", "", "client_id"),
        ("github", "i", "", "", "client_secret"),
        ("github", "i", "s\n", "", "client_secret"),
        ("github", "i", "s\0t", "", "client_secret"),
        ("acme", "i", "s", "", "issuer"),
        ("acme", "i", "s", "http://id.acme.example", "issuer"),
        ("acme", "i", "s", "file:///etc/passwd", "issuer"),
    ],
)
def test_what_cannot_be_right_is_refused(provider: str, client_id: str, secret: str, issuer: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        stored(provider, client_id, secret, issuer)
    assert caught.value.field == field
