"""Seeding, and the vault that server.hcl sets up."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from service.adapters.vault import Vault
from service.core.errors import Conflict, VaultUnavailable
from service.core.settings import Secret
from tests.integration.service.machine import free_port
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres


def seeder(openbao: OpenBao, log: Path, **changes: str) -> Service:
    settings = {
        "VAULT_ADDR": openbao.address,
        "VAULT_ROLE_ID": "jeex-operator",
        "VAULT_SECRET_ID": openbao.secret_id,
        "VAULT_TOKEN": "not-ours",  # a developer's own must not get in the way
        **changes,
    }
    return Service("seed", settings, log)


def said(service: Service) -> list[tuple[str, str]]:
    return [(one["event"], one.get("name", "")) for one in service.lines()]


def test_makes_what_is_missing_and_keeps_what_is_there(openbao: OpenBao, tmp_path: Path) -> None:
    first = seeder(openbao, tmp_path / "first.log")
    assert first.run() == 0, first.log.read_text()
    assert said(first) == [("seed.created", "transit/jwt"), ("seed.created", "secret/jeex/api"), ("seed.done", "")]
    before = stored(openbao)
    second = seeder(openbao, tmp_path / "second.log")
    assert second.run() == 0
    assert said(second) == [("seed.kept", "transit/jwt"), ("seed.kept", "secret/jeex/api"), ("seed.done", "")]
    assert stored(openbao) == before
    logs = first.log.read_text() + second.log.read_text()
    assert before["pepper"] not in logs
    assert openbao.secret_id not in logs


def stored(openbao: OpenBao) -> dict[str, Any]:
    token = openbao.sign_in()
    status, secret = openbao.call("GET", "secret/data/jeex/api", token=token)
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


def test_a_first_version_is_written_once(openbao: OpenBao) -> None:
    store = Vault(openbao.address)
    store.sign_in("jeex-operator", Secret(openbao.secret_id))
    assert store.read("jeex/new") is None
    store.create("jeex/new", {"a": "1"})
    with pytest.raises(Conflict):
        store.create("jeex/new", {"a": "2"})
    assert store.read("jeex/new") == {"a": "1"}
    store.close()


def test_the_operator_may_do_its_work_and_nothing_else(openbao: OpenBao) -> None:
    token = openbao.sign_in()
    for method, path in (
        ("GET", "sys/policies/acl/jeex-api"),
        ("PUT", "sys/policies/acl/jeex-operator"),
        ("POST", "auth/token/create"),
        ("POST", "sys/mounts/other"),
        ("GET", "secret/data/other"),
        ("GET", "transit/export/signing-key/jwt"),
        ("DELETE", "transit/keys/jwt"),
        ("POST", "auth/approle/role/jeex-operator/secret-id"),
        ("POST", "auth/approle/role/jeex-api/secret-id"),  # only wrapped
    ):
        assert openbao.call(method, path, {"policy": ""}, token=token)[0] == 403, path


def test_the_api_reads_and_signs_with_a_secret_id_of_one_use(openbao: OpenBao, tmp_path: Path) -> None:
    assert seeder(openbao, tmp_path / "seed.log").run() == 0
    path, wish = "auth/approle/role/jeex-api/secret-id", {"num_uses": 1}
    status, wrapped = openbao.call("POST", path, wish, token=openbao.sign_in(), wrap="60s")
    assert status == 200
    handed = wrapped["wrap_info"]["token"]
    status, opened = openbao.call("POST", "sys/wrapping/unwrap", {}, token=handed)
    assert status == 200
    credential = {"role_id": "jeex-api", "secret_id": opened["data"]["secret_id"]}
    status, signed_in = openbao.call("POST", "auth/approle/login", credential)
    assert status == 200
    assert openbao.call("POST", "auth/approle/login", credential)[0] == 400  # used up
    token = signed_in["auth"]["client_token"]
    assert openbao.call("GET", "secret/data/jeex/api", token=token)[0] == 200
    assert openbao.call("POST", "transit/sign/jwt", {"input": "aGVsbG8="}, token=token)[0] == 200
    assert openbao.call("POST", "secret/data/jeex/api", {"data": {"pepper": "x"}}, token=token)[0] == 403
    assert openbao.call("POST", "transit/keys/jwt/rotate", {}, token=token)[0] == 403


@pytest.mark.parametrize("moment", ["sys/policy/", "role/"])
def test_a_first_start_that_was_killed_begins_anew(openbao: OpenBao, postgres: Postgres, moment: str) -> None:
    """As a killed server leaves it: initialised, but without the last of what its set-up writes."""
    openbao.stop()
    postgres.sql(
        f"DELETE FROM openbao_kv_store WHERE key = 'jeex-complete' OR (path LIKE '%{moment}' AND key LIKE 'jeex-%')",  # noqa: S608
        database="jeex_vault",
    )
    assert "start anew" in openbao.repair()
    openbao.start()
    openbao.sign_in()
    openbao.stop()
    assert openbao.repair() == ""


def test_a_storage_with_a_secret_in_it_is_never_emptied(openbao: OpenBao, postgres: Postgres, tmp_path: Path) -> None:
    assert seeder(openbao, tmp_path / "seed.log").run() == 0
    openbao.stop()
    postgres.sql("DELETE FROM openbao_kv_store WHERE key = 'jeex-complete'", database="jeex_vault")
    assert openbao.repair() == ""
    assert int(postgres.sql("SELECT count(*) FROM openbao_kv_store", database="jeex_vault")) > 10
