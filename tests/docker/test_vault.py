"""Vault and those who sign in to it, in containers.

Where the engine's images are stand-ins, this proves what compose.yaml and jeex do with them, not the images themselves.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from jeex_cli.errors import JeexError
from jeex_cli.ops import vault_seal
from jeex_cli.output import Output
from jeex_cli.session import Session, open_session
from service.adapters.vault_system import Initialised, VaultSystem
from tests.docker.stack import ONE_SHOT, SERVED, Stack
from tests.integration.service.machine import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

MakeStack = Callable[..., Stack]

# Which of the generated secrets a container's environment holds: `docker inspect` shows it to whoever may use the engine.
IN_ENVIRONMENT = {
    "api": {"JEEX_ADMIN_KEY", "JEEX_METRICS_TOKEN", "JEEX_REDIS_PASSWORD"},
    "worker": {"JEEX_REDIS_PASSWORD"},
    "frontend": set(),
    "migrate": {"JEEX_DB_OWNER_PASSWORD"},
    "seed": {"JEEX_VAULT_SETUP_SECRET", "JEEX_VAULT_OPERATOR_SECRET", "JEEX_DB_LOGINS_PASSWORD"},
    "vault": {"JEEX_DB_VAULT_PASSWORD"},
    "redis": {"JEEX_REDIS_PASSWORD"},
}
KEPT = "secret/data/jeex/settings"


def write(one: Stack) -> None:
    status, body = one.vault("POST", KEPT, {"data": {"KEPT": "yes"}}, token=one.operator())
    assert status == 200, body


def is_kept(one: Stack) -> bool:
    status, body = one.vault("GET", KEPT, token=one.operator())
    return status == 200 and body["data"]["data"] == {"KEPT": "yes"}


def environment(about: dict[str, Any]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in about["Config"]["Env"])


def test_plain_compose_brings_everything_up_and_hands_over(stack: MakeStack) -> None:
    one = stack()
    one.up()
    assert one.states() == {
        **dict.fromkeys(SERVED, ("running", "healthy")),
        **dict.fromkeys(ONE_SHOT, ("exited", "")),
    }
    key = one.tenant()
    token = one.token(key)
    assert one.api("GET", "/ready")[0] == 200
    assert one.api("GET", "/api/v1/projects", token)[0] == 200

    # Handed over through a volume each, to those alone whom it is for.
    for service, other in (("api", "worker"), ("worker", "api")):
        listed = one.inside(service, "ls", "-lan", f"/run/jeex/handover/jeex-{service}").splitlines()
        modes = {line.split()[-1]: (line.split()[0], *line.split()[2:4]) for line in listed[1:]}
        assert modes["."] == ("drwx------", "65532", "65532")
        assert modes["wrapped"] == ("-rw-------", "65532", "65532")
        assert one.inside(service, "ls", f"/run/jeex/handover/jeex-{other}") == ""

    # Vault has made the logins that the API works with.
    users = one.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'jeex-api%'")
    assert users and all(user.startswith("v-approle-") for user in users)

    # What is where, for everybody to see.
    about = {service: one.inspect(service) for service in (*SERVED, *ONE_SHOT)}
    for service, expected in IN_ENVIRONMENT.items():
        shown = json.dumps([about[service]["Config"], about[service]["Args"], about[service]["HostConfig"]])
        assert {name for name, value in one.secrets.items() if value in shown} == expected, service
    api = environment(about["api"])
    assert not {"VAULT_SECRET_ID", "VAULT_TOKEN", "PGPASSWORD"} & api.keys()
    assert "@" not in api["DATABASE_URL"] + api["DATABASE_ADMIN_URL"]

    # Vault's server has no rights, and its own secrets are nobody else's. It keeps nothing in volumes without a name.
    assert {mount["Type"] for mount in about["vault"]["Mounts"]} == {"bind"}
    assert "65532" in one.inside("vault", "id")
    for name in ("seal.key", "setup-secret-id"):
        assert one.inside("vault", "ls", "-ln", f"/run/jeex/{name}").split()[:4:2] == ["-r--------", "65532"]
    status = one.inside("vault", "cat", "/proc/1/status")
    assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status

    # Nothing of it in any log; that of Vault holds its audit.
    logs = one.compose("logs", "--no-color")
    assert '"path":"auth/approle/login"' in logs
    assert [name for name, value in {**one.secrets, "key": key, "token": token}.items() if value in logs] == []


def test_vault_keeps_its_secrets_and_opens_itself(stack: MakeStack) -> None:
    one = stack()
    one.up()
    write(one)
    key = one.tenant()
    token = one.token(key)
    public = one.api("GET", "/.well-known/jwks.json")
    for happens in (lambda: one.restart("vault"), lambda: one.crash("vault")):
        happens()
        assert one.api("GET", "/api/v1/projects", token)[0] == 200  # needs no Vault
        until(lambda: one.api("POST", "/api/v1/tokens", key)[0] == 201, seconds=30)
        assert is_kept(one)
        one.wait_healthy()
    one.down()
    assert one.states() == {}
    one.up()
    assert is_kept(one)
    assert one.api("GET", "/.well-known/jwks.json") == public
    assert one.api("GET", "/api/v1/projects", token)[0] == 200
    one.token(key)


def test_processes_sign_in_again_with_what_was_handed_to_them_next(stack: MakeStack) -> None:
    one = stack()
    one.up()
    key = one.tenant()

    def handed(service: str) -> str:
        return one.inside(service, "cat", f"/run/jeex/handover/jeex-{service}/wrapped")

    for service in ("api", "worker"):
        for happens in (one.restart, one.crash):
            before = handed(service)
            happens(service)
            one.wait_healthy([service])
            assert handed(service) != before
            status, _ = one.vault("POST", "sys/wrapping/lookup", {"token": before.strip()})
            assert status == 400  # of no use to whoever had copied it
    one.token(key)

    # A copy that was used first locks the process out: it says so, and the seed process gives it another.
    stolen = handed("api").strip()
    assert one.vault("POST", "sys/wrapping/unwrap", token=stolen)[0] == 200
    one.restart("api")
    until(lambda: "VAULT_HANDOVER_USED" in one.compose("logs", "api"), seconds=30)
    # Not with --wait: that gives up at once on a container that is unhealthy now and about to be started again.
    one.compose("up", "--detach")
    one.wait_healthy(["api"])
    one.token(key)


def session(one: Stack) -> Session:
    output = Output(stdout=io.StringIO(), stderr=io.StringIO())
    return open_session(folder=str(one.folder), flags={}, environ=one.environ, output=output, cwd=one.folder)


def test_hashicorps_image_is_initialised_and_unsealed_by_jeex(stack: MakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Initialised] = []
    initialise = VaultSystem.initialise

    def remembered(system: VaultSystem, **options: int) -> Initialised:
        said.append(initialise(system, **options))
        return said[-1]

    monkeypatch.setattr(VaultSystem, "initialise", remembered)
    one = stack(JEEX_VAULT_IMAGE="hashicorp/vault:1.20")
    one.up("postgres", "vault")
    until(lambda: one.vault("GET", "sys/seal-status")[0] == 200, seconds=60)
    found = vault_seal.unseal(session(one))
    assert (found["changed"], found["initialised"]) == (True, True)
    file = vault_seal.keys_file(session(one))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "root_token" not in json.loads(file.read_text())
    assert one.vault("GET", "auth/token/lookup-self", token=said[0].root_token.reveal())[0] == 403
    one.up()
    one.wait_healthy()
    write(one)
    key = one.tenant()
    token = one.token(key)

    one.restart("vault")
    until(lambda: one.vault("GET", "sys/seal-status")[0] == 200, seconds=30)
    assert one.vault("GET", "sys/seal-status")[1]["sealed"] is True
    assert one.api("GET", "/api/v1/projects", token)[0] == 200
    assert one.api("POST", "/api/v1/tokens", key)[0] == 503
    found = {each["check"]: each for each in one.doctor("--only", "vault,identity-vault", JEEX_RUNTIME="compose")}
    assert (found["vault-sealed"]["level"], found["vault-sealed"]["fix"]) == ("fail", "jeex secrets unseal")
    assert (found["vault-secrets"]["level"], found["identity-vault"]["level"]) == ("unknown", "ok")
    (fixed,) = one.doctor("--only", "vault-sealed", "--fix", "--yes", JEEX_RUNTIME="compose")
    assert fixed["level"] == "ok"
    until(lambda: one.api("POST", "/api/v1/tokens", key)[0] == 201, seconds=30)
    assert is_kept(one)
    assert vault_seal.unseal(session(one))["changed"] is False

    # The whole stack again: Vault first, then those that wait for it.
    one.down()
    one.up("postgres", "vault")
    until(lambda: one.vault("GET", "sys/seal-status")[0] == 200, seconds=60)
    kept = file.read_text()
    file.unlink()
    with pytest.raises(JeexError) as missing:
        vault_seal.unseal(session(one))
    assert missing.value.code == "VAULT_KEYS_MISSING"
    file.write_text(kept)
    vault_seal.unseal(session(one))
    one.up()
    assert is_kept(one)
    one.token(key)
    logs = one.compose("logs", "--no-color")
    shares = {key.reveal(): key.reveal() for key in said[0].keys}
    generated = {**one.secrets, **shares, "root": said[0].root_token.reveal()}
    assert [name for name, value in generated.items() if value in logs] == []
