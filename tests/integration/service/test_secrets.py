"""Seeding, and the vault that server.hcl sets up."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from service.adapters.vault import Vault
from service.core.errors import VaultUnavailable
from service.core.settings import Secret
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres


def seeder(openbao: OpenBao, log: Path, **changes: str) -> Service:
    # A developer's own token must not get in the way.
    return Service("seed", openbao.seed_settings(VAULT_TOKEN="not-ours", **changes), log)


def said(service: Service) -> list[tuple[str, str]]:
    return [(one["event"], one.get("name") or one.get("what", "")) for one in service.lines()]


SET_UP = [
    *("engine secret", "engine transit", "engine database"),
    *("policy jeex-operator", "policy jeex-api", "policy jeex-worker"),
    "audit log's headers",
    "operator",
]
SEEDED = ["transit/jwt", "secret/jeex/api-pepper", "secret/jeex/database"]
HANDED_OVER = ["jeex-api", "jeex-worker"]


def test_makes_what_is_missing_and_keeps_what_is_there(new_openbao: OpenBao, tmp_path: Path) -> None:
    folder = tmp_path / "handed-over"
    first = seeder(new_openbao, tmp_path / "first.log", HANDOVER_FOLDER=str(folder))
    assert first.run() == 0, first.log.read_text()
    assert said(first) == [
        *(("seed.set_up", what) for what in SET_UP),
        *(("seed.created", name) for name in SEEDED),
        *(("seed.handed_over", name) for name in HANDED_OVER),
        ("seed.done", ""),
    ]
    before = stored(new_openbao)
    handed = {name: (folder / name / "wrapped").read_text() for name in HANDED_OVER}
    assert {(folder / name / "wrapped").stat().st_mode & 0o777 for name in HANDED_OVER} == {0o600}
    second = seeder(new_openbao, tmp_path / "second.log", HANDOVER_FOLDER=str(folder))
    assert second.run() == 0
    assert said(second) == [*(("seed.kept", name) for name in (*SEEDED, *HANDED_OVER)), ("seed.done", "")]
    assert stored(new_openbao) == before
    assert {name: (folder / name / "wrapped").read_text() for name in HANDED_OVER} == handed
    logs = first.log.read_text() + second.log.read_text()
    for value in (before["pepper"], new_openbao.secret_id, new_openbao.setup_secret_id, *handed.values()):
        assert value.strip() not in logs


def test_what_was_used_is_handed_over_anew(openbao: OpenBao, tmp_path: Path) -> None:
    folder = tmp_path / "handed-over"
    assert seeder(openbao, tmp_path / "first.log", HANDOVER_FOLDER=str(folder)).run() == 0
    before = {name: (folder / name / "wrapped").read_text() for name in HANDED_OVER}
    assert openbao.call("POST", "sys/wrapping/unwrap", {}, token=before["jeex-api"].strip())[0] == 200
    (folder / "jeex-worker" / "wrapped").unlink()
    again = seeder(openbao, tmp_path / "second.log", HANDOVER_FOLDER=str(folder))
    assert again.run() == 0
    assert [name for event, name in said(again) if event == "seed.handed_over"] == HANDED_OVER
    assert all((folder / name / "wrapped").read_text() != before[name] for name in HANDED_OVER)


def test_another_operator_secret_is_told_to_vault_and_the_old_one_ends(openbao: OpenBao, tmp_path: Path) -> None:
    seed = seeder(openbao, tmp_path / "seed.log", VAULT_OPERATOR_SECRET="another-secret")
    assert seed.run() == 0
    assert ("seed.set_up", "operator") in said(seed)
    old = {"role_id": "jeex-operator", "secret_id": openbao.secret_id}
    assert openbao.call("POST", "auth/approle/login", old)[0] == 400
    openbao.secret_id = "another-secret"
    assert openbao.sign_in()


def stored(openbao: OpenBao) -> dict[str, Any]:
    token = openbao.sign_in()
    status, secret = openbao.call("GET", "secret/data/jeex/api-pepper", token=token)
    assert status == 200
    status, key = openbao.call("GET", "transit/keys/jwt", token=token)
    assert status == 200
    assert (key["data"]["type"], key["data"]["exportable"], secret["data"]["metadata"]["version"]) == (
        "ecdsa-p256",
        False,
        1,
    )
    return {"pepper": secret["data"]["data"]["pepper"], "keys": key["data"]["keys"]}


def test_secrets_outlive_a_killed_vault(openbao: OpenBao, tmp_path: Path) -> None:
    assert seeder(openbao, tmp_path / "first.log").run() == 0
    before = stored(openbao)
    openbao.stop(signal.SIGKILL)
    assert openbao.repair() == ""  # a whole storage is left alone
    openbao.start()
    assert stored(openbao) == before


def test_waits_for_a_vault_that_is_starting(openbao: OpenBao, tmp_path: Path) -> None:
    openbao.stop()
    service = seeder(openbao, tmp_path / "seed.log")
    service.start()
    assert service.process is not None
    time.sleep(0.5)
    assert service.process.poll() is None
    openbao.start()
    assert service.process.wait(20) == 0


def test_a_wrong_secret_id_is_said_at_once(openbao: OpenBao, tmp_path: Path) -> None:
    service = seeder(openbao, tmp_path / "seed.log", VAULT_SECRET_ID="wrong-secret")
    assert service.run() == 1
    line = service.lines()[-1]
    assert (line["level"], line["code"]) == ("error", "VAULT_REFUSED")
    assert "wrong-secret" not in service.log.read_text()


def test_nothing_there_is_given_up_with_a_reason() -> None:
    store = Vault(f"http://127.0.0.1:{free_port()}", patience=0.2)
    with pytest.raises(VaultUnavailable, match="did not answer for"):
        store.sign_in("jeex-operator", Secret("x"))
    with pytest.raises(VaultUnavailable, match="cannot be reached"):
        store.version()
    store.close()


def test_the_operator_may_do_its_work_and_nothing_else(openbao: OpenBao) -> None:
    token = openbao.sign_in()
    for method, path in (
        ("PUT", "sys/policies/acl/jeex-operator"),
        ("PUT", "sys/policies/acl/jeex-api"),
        ("GET", "sys/policies/acl/default"),
        ("POST", "auth/token/create"),
        ("POST", "sys/mounts/other"),
        ("GET", "secret/data/other"),
        ("GET", "transit/export/signing-key/jwt"),
        ("POST", "transit/keys/jwt"),
        ("DELETE", "transit/keys/jwt"),
        ("POST", "transit/sign/jwt"),
        ("GET", "database/creds/app"),
        ("GET", "database/config/jeex"),
        ("POST", "auth/approle/role/jeex-operator/secret-id"),
        ("POST", "auth/approle/role/jeex-api/secret-id"),
        ("GET", "sys/audit"),
    ):
        assert openbao.call(method, path, {"policy": ""}, token=token)[0] == 403, path
    assert openbao.call("POST", "sys/leases/revoke", {"lease_id": "auth/approle/login/x"}, token=token)[0] == 403


def test_what_sets_vault_up_reads_no_secret_and_hands_over_only_wrapped(openbao: OpenBao, tmp_path: Path) -> None:
    assert seeder(openbao, tmp_path / "seed.log").run() == 0
    vault = openbao.as_setup()
    token = vault.client.token
    for method, path in (
        ("GET", "secret/data/jeex/api-pepper"),
        ("GET", "secret/data/jeex/other"),
        ("POST", "secret/data/jeex/other"),
        ("POST", "transit/sign/jwt"),
        ("GET", "transit/export/signing-key/jwt"),
        ("GET", "database/creds/app"),
        ("POST", "auth/approle/role/jeex-api/secret-id"),
        ("POST", "auth/approle/role/jeex-worker/secret-id"),
        ("PUT", "sys/policies/acl/default"),
    ):
        assert openbao.call(method, path, {"policy": "", "data": {}}, token=token)[0] == 403, path
    vault.close()


def test_no_root_token_is_left_and_every_request_is_written_down(openbao: OpenBao, postgres: Postgres) -> None:
    vault = openbao.as_setup()
    status, found = openbao.call("GET", "sys/audit", token=vault.client.token)
    assert (status, list(found["data"])) == (200, ["jeex/"])
    vault.close()
    lines = [json.loads(line) for line in (openbao.folder / "audit.log").read_text().splitlines()]
    root = {one["auth"]["client_token"] for one in lines if one["auth"].get("policies") == ["root"]}
    assert len(root) == 1  # the one that server.hcl worked with; a revoked token leaves no entry behind
    tokens = "SELECT count(*) FROM openbao_kv_store WHERE path LIKE '/sys/token/id/%'"
    before = int(postgres.sql(tokens, database="jeex_vault"))
    vault = openbao.as_setup()
    assert int(postgres.sql(tokens, database="jeex_vault")) == before + 1
    vault.sign_out()
    vault.close()
    assert int(postgres.sql(tokens, database="jeex_vault")) == before
    text = (openbao.folder / "audit.log").read_text()
    assert openbao.secret_id not in text
    assert openbao.setup_secret_id not in text


@pytest.mark.parametrize("moment", ["sys/policy/", "role/"])
def test_a_first_start_that_was_killed_begins_anew(new_openbao: OpenBao, postgres: Postgres, moment: str) -> None:
    """As a killed server leaves it: initialised, but without the last of what its set-up writes."""
    new_openbao.stop()
    postgres.sql(
        f"DELETE FROM openbao_kv_store WHERE key = 'jeex-complete' OR (path LIKE '%{moment}' AND key LIKE 'jeex-%')",  # noqa: S608
        database="jeex_vault",
    )
    assert "start anew" in new_openbao.repair()
    new_openbao.start()
    new_openbao.as_setup().close()
    new_openbao.stop()
    assert new_openbao.repair() == ""


def test_a_storage_with_a_secret_in_it_is_never_emptied(openbao: OpenBao, postgres: Postgres, tmp_path: Path) -> None:
    assert seeder(openbao, tmp_path / "seed.log").run() == 0
    openbao.stop()
    postgres.sql("DELETE FROM openbao_kv_store WHERE key = 'jeex-complete'", database="jeex_vault")
    assert openbao.repair() == ""
    assert int(postgres.sql("SELECT count(*) FROM openbao_kv_store", database="jeex_vault")) > 10
