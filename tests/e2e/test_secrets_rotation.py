"""Secrets of the platform: rotated while it serves, and Vault brought back to what is declared."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jeex_cli import dotenv
from service.adapters.vault import Vault
from service.adapters.vault_system import VaultSystem
from service.core.settings import Secret
from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import get
from tests.e2e.test_secrets import FIRST, secrets, shown
from tests.e2e.test_vault_access import token

pytestmark = pytest.mark.e2e


@pytest.fixture
def cli(either: Cli) -> Cli:
    """With Docker and without."""
    return either


def test_everything_is_rotated_while_the_stack_serves(cli: Cli) -> None:
    cli.run("up")
    # Processes look often, and nobody waits long for those that are gone. Read from Vault when they start.
    secrets(cli, "set", "settings", "VAULT_POLL", text="0.3")
    secrets(cli, "set", "settings", "DATABASE_STATEMENT_TIMEOUT", text="1")
    cli.run("restart", "api", "worker")
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    held = token(cli, key)[1]["access_token"]

    status = secrets(cli, "status")
    assert (status["sealed"], status["address"]) == (False, f"http://127.0.0.1:{cli.ports['VAULT']}")
    assert status["logins"]["app"] >= 1  # the worker has its own
    aged = {one["name"]: one for one in status["secrets"]}
    assert {name: (one["by"], one["most"], one["due"]) for name, one in aged.items()} == {
        "jwt": ("worker", 90 * 86_400, False),
        "database": ("worker", 30 * 86_400, False),
        "api-pepper": ("worker", 365 * 86_400, False),
    }

    done = {one["kind"]: one for one in secrets(cli, "rotate", "all")}
    assert {kind: one["version"] for kind, one in done.items()} == {"jwt": 2, "database": 2, "api-pepper": 2}
    assert done["jwt"]["signs_in"] == 120
    assert done["database"]["replaced"] >= 1 and done["database"]["revoked"] == 0
    whole = secrets(cli, "status")["logins"]["app"]  # those of the API and the worker
    for credential in (key, held):
        assert get(cli, "/api/v1/whoami", credential)[0] == 200
    assert token(cli, key)[0] == 201
    for kind in ("jwt", "api-pepper", "database"):
        assert "version 3" in shown(cli, "rotate", kind)

    # The login of a process that was killed is given back by nobody.
    api = cli.services()["api"]["pid"]
    os.kill(api, signal.SIGKILL)
    cli.run("up")
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    assert secrets(cli, "status")["logins"]["app"] > whole
    late = secrets(cli, "rotate", "database", "--timeout", "2", code=6)
    assert (late["code"], late["hint"]) == ("TIMED_OUT", "jeex secrets rotate database --timeout 300")
    (rotated,) = secrets(cli, "rotate", "database")
    assert rotated["version"] == 5 and rotated["replaced"] >= 1 and rotated["revoked"] >= 2
    # Two are the API's, two the worker's, of which one is made with its first job: of those before none is left.
    assert secrets(cli, "status")["logins"]["app"] <= 4
    for credential in (key, held):
        assert get(cli, "/api/v1/whoami", credential)[0] == 200

    # What is due is said, and is no failure.
    secrets(cli, "set", "old", "--max-age", "1s", text=FIRST)
    cli.extra |= {"JEEX_ROTATE_JWT_AFTER": "1s", "JEEX_ROTATE_DATABASE_AFTER": "never"}
    time.sleep(1.2)
    aged = {one["name"]: one for one in secrets(cli, "status")["secrets"]}
    assert {name: (one["by"], one["due"]) for name, one in aged.items() if one["due"]} == {
        "jwt": ("worker", True),
        "old": ("you", True),
    }
    assert aged["database"]["due_in"] is None
    assert "due, max age 1s" in shown(cli, "list", "old")
    shown(cli, "status")
    cli.extra["JEEX_ROTATE_JWT_AFTER"] = "soon"
    assert "ROTATE_JWT_AFTER" in secrets(cli, "status", code=3)["message"]


def test_vault_is_brought_back_to_what_is_declared(cli: Cli) -> None:
    cli.run("up")
    assert {one["outcome"] for one in secrets(cli, "seed")} == {"kept"}
    assert "nothing to do" in shown(cli, "seed")
    assert secrets(cli, "unseal")["changed"] is False
    policies = secrets(cli, "policy", "show")
    assert (policies["same"], policies["hint"]) == (True, "")
    assert [one["name"] for one in policies["policies"]] == ["jeex-operator", "jeex-api", "jeex-worker"]

    # Somebody has changed a policy.
    setup = Secret(dotenv.parse((cli.folder / ".env").read_text(), source=".env", environ={})["JEEX_VAULT_SETUP_SECRET"])
    vault = Vault(f"http://127.0.0.1:{cli.ports['VAULT']}")
    try:
        vault.sign_in("jeex-setup", setup)
        VaultSystem(vault).write_policy("jeex-worker", 'path "secret/*" { capabilities = ["read"] }')
        vault.sign_out()
    finally:
        vault.close()
    drifted = secrets(cli, "policy", "show", "worker")
    assert (drifted["same"], drifted["hint"]) == (False, "jeex secrets seed")
    assert drifted["policies"][0]["in_vault"] == 'path "secret/*" { capabilities = ["read"] }'
    assert "Vault has another" in cli.run("secrets", "policy", "show", "jeex-worker").stdout
    made = [one for one in secrets(cli, "seed") if one["outcome"] != "kept"]
    assert made == [{"name": "policy jeex-worker", "outcome": "set_up"}]
    assert secrets(cli, "policy", "show")["same"] is True
    assert "Vault has the same" in cli.run("secrets", "policy", "show", "api").stdout

    # The operator's way in is another: refused, and the next command makes it so.
    cli.extra["JEEX_VAULT_OPERATOR_SECRET"] = "another-one"
    refused = secrets(cli, "list", code=5)
    assert (refused["code"], refused["hint"]) == ("VAULT_REFUSED", "jeex secrets seed")
    assert {"name": "operator", "outcome": "set_up"} in secrets(cli, "seed")
    assert {one["path"] for one in secrets(cli, "list")} >= {"api-pepper", "database"}

    if cli.runtime == "compose":
        return  # what containers hand over to each other is no business of the command line

    # What was handed over is lost while nothing runs that needs it: made anew.
    (cli.folder / ".jeex" / "run" / "handover" / "jeex-worker" / "wrapped").unlink()
    assert {"name": "jeex-worker", "outcome": "handed_over"} in secrets(cli, "seed")
    assert (cli.folder / ".jeex" / "run" / "handover" / "jeex-worker" / "wrapped").stat().st_mode & 0o777 == 0o600
    cli.run("restart", "worker")
