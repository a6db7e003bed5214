"""How processes come into Vault and into PostgreSQL, and what happens when that was lost, copied or changed."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import get
from tests.e2e.test_recovery import operator_token, setting, vault

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


def restarted(cli: Cli, service: str) -> None:
    """Kill a service and have it started by itself alone, as after a crash."""
    os.kill(cli.services()[service]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    cli.run("up", service)


def test_the_api_signs_in_with_what_it_was_handed_over_and_with_nothing_else(cli: Cli) -> None:
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    assert token(cli, key)[0] == 201
    settings = json.loads((cli.folder / ".jeex" / "run" / "api.settings.json").read_text())
    assert "VAULT_SECRET_ID" not in settings
    assert "@" not in settings["DATABASE_URL"]

    # It crashes, and finds the next one where the last one was.
    before = handed_over(cli)
    restarted(cli, "api")
    assert token(cli, key)[0] == 201
    assert handed_over(cli) != before

    # Somebody copies what lies there and is faster: the API says so and does not start. `up` hands over another.
    stolen = handed_over(cli)
    assert vault(cli, "sys/wrapping/unwrap", {}, token=stolen)["data"]["secret_id"]
    os.kill(cli.services()["api"]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    error = cli.json("up", "api", code=5)
    assert "VAULT_HANDOVER_USED" in error["detail"]
    assert stolen not in error["detail"]
    cli.run("up")
    assert token(cli, key)[0] == 201
    assert get(cli, "/api/v1/whoami", key)[0] == 200


def test_secrets_of_vault_that_env_has_lost_or_changed(cli: Cli) -> None:
    cli.run("up", "postgres", "vault", "seed")
    old = setting(cli, "JEEX_VAULT_OPERATOR_SECRET")
    env = cli.folder / ".env"
    env.write_text(env.read_text().replace(old, ""))
    cli.run("up", "postgres", "vault", "seed")  # another one is made, and told to Vault
    assert setting(cli, "JEEX_VAULT_OPERATOR_SECRET") != old
    assert operator_token(cli)
    with pytest.raises(urllib.error.HTTPError):
        vault(cli, "auth/approle/login", {"role_id": "jeex-operator", "secret_id": old})

    # What Vault was set up with cannot be made anew.
    env.write_text(env.read_text().replace(setting(cli, "JEEX_VAULT_SETUP_SECRET"), ""))
    error = cli.json("up", code=3)
    assert error["code"] == "SECRETS_MISSING"
    assert "JEEX_VAULT_SETUP_SECRET" in error["message"]


def test_without_vault_s_logins_the_service_uses_the_passwords_of_env(cli: Cli) -> None:
    cli.extra["JEEX_DB_STATIC"] = "1"
    cli.run("up")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    users = "select string_agg(distinct usename, ',') from pg_stat_activity where application_name = 'jeex-api'"
    assert cli.run("db", "shell", "--", "-Atc", users).stdout.strip() == "jeex_app"
    del cli.extra["JEEX_DB_STATIC"]
    cli.run("up")  # back to Vault's: the API alone is restarted
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    owner = cli.run("db", "shell", "--role", "owner", "--", "-Atc", "select count(*) from pg_roles where rolname like 'v-%'")
    assert int(owner.stdout) >= 1


def handed_over(cli: Cli) -> str:
    return (cli.folder / ".jeex" / "run" / "handover" / "jeex-api" / "wrapped").read_text().strip()
