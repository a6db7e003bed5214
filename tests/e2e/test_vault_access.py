"""The API's way into Vault, and projects that are older than it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import get

pytestmark = pytest.mark.e2e


def token(cli: Cli, key: str) -> tuple[int, dict[str, Any]]:
    """What asking for a token with an API key answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{cli.ports['API']}/api/v1/tokens", headers={"Authorization": f"Bearer {key}"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def values(env: str) -> dict[str, str]:
    """What the text of a `.env` sets."""
    return dict(re.findall(r"^(JEEX_\w+)=(.+)$", env, re.MULTILINE))


def test_tokens_and_a_project_whose_vault_does_not_know_the_api(cli: Cli) -> None:
    """`.env` without the secret is what a project has that was made before there was one: its Vault does not know it."""
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    status, body = token(cli, key)
    assert (status, body.get("expires_in")) == (201, 600)
    held = body["access_token"]
    assert get(cli, "/api/v1/whoami", held)[0] == 200

    cli.run("down")
    env = cli.folder / ".env"
    before = env.read_text()
    old = values(before)
    env.write_text(re.sub(r"^(JEEX_VAULT_API_SECRET|JEEX_ADMIN_KEY)=.*\n", "", before, flags=re.MULTILINE))
    cli.run("up")
    after = values(env.read_text())
    assert {name for name in after if after[name] != old[name]} == {"JEEX_VAULT_API_SECRET", "JEEX_ADMIN_KEY"}
    status, body = token(cli, key)
    assert (status, body["code"]) == (503, "VAULT_REFUSED")
    assert "put it back" in body["hint"]
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    assert get(cli, "/api/v1/whoami", held)[0] == 503  # nobody can tell whether it holds
    assert get(cli, "/ready")[0] == 200
    assert [get(cli, "/api/v1/tenants", one["JEEX_ADMIN_KEY"])[0] for one in (old, after)] == [401, 200]

    # The old one put back: an up is all it takes, and tokens that were handed out hold on.
    env.write_text(before)
    cli.run("up")
    assert get(cli, "/api/v1/whoami", held)[0] == 200
    assert token(cli, key)[0] == 201
