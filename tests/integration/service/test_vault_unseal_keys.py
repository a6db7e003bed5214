"""The file of a Vault's unseal keys: gone, wrong, not ours, of a Vault that is gone; and a Vault that needs none."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jeex_cli.errors import Unhealthy
from jeex_cli.ops import vault_seal
from service.adapters.vault_system import VaultSystem
from tests.integration.service.machine import free_port
from tests.integration.service.servers import OpenBao
from tests.integration.service.shamir import House, Killed, killed
from tests.integration.service.shamir import house as house  # noqa: PLC0414 - a fixture


def test_without_the_keys_nothing_is_changed(house: House) -> None:
    house.unseal()
    house.restart()
    kept = house.file.read_text()
    house.file.unlink()
    error = house.refused()
    assert error.code == "VAULT_KEYS_MISSING" and str(house.file) in error.detail
    assert house.vault.state == (True, True, 0)
    assert [one.name for one in house.file.parent.iterdir()] == ["lock"]
    house.file.write_text(kept)  # a copy that others may read
    house.file.chmod(0o644)
    house.unseal()
    house.assert_set_up()


def others(keys: list[str]) -> list[str]:
    """Keys of the same form, of another Vault."""
    return [("0" if key[5] != "0" else "1").join((key[:5], key[6:])) for key in keys]


WRONG: dict[str, Callable[[list[str]], object]] = {
    "another Vault's": others,
    "one of another Vault's": lambda keys: [*keys[:2], *others(keys[2:])],
    "too few": lambda keys: keys[:2],
    "no keys at all": lambda keys: ["zz", "", "not a key"],
    "not of jeex": lambda keys: {"keys": keys},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_with_wrong_keys_nothing_is_changed(house: House, wrong: Callable[[list[str]], object]) -> None:
    house.unseal()
    house.restart()
    document = json.loads(house.file.read_text())
    text = json.dumps({**document, "keys": wrong(document["keys"])})
    house.file.write_text(text)
    assert house.refused().code == "VAULT_KEYS_WRONG"
    assert house.vault.state == (True, True, 0)
    assert house.file.read_text() == text
    house.file.write_text(json.dumps(document))
    house.unseal()
    house.assert_set_up()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "keys": []}', '{"version": 1}', "\0\xff"], ids=repr)
def test_a_file_that_jeex_did_not_write_is_left_alone(house: House, text: str) -> None:
    house.file.parent.mkdir(parents=True)
    house.file.write_text(text, encoding="latin-1")
    assert house.refused().code == "VAULT_KEYS_WRONG"
    assert house.vault.state == (False, True, 0)
    assert house.file.read_text(encoding="latin-1") == text


def test_the_keys_of_a_vault_that_is_gone_are_set_aside(house: House) -> None:
    house.unseal()
    before = house.file.read_text()
    house.vault.stop()
    house.vault.postgres.sql("TRUNCATE vault_kv_store", database="jeex_vault")
    house.vault.start()
    assert house.unseal()["initialised"] is True
    house.assert_set_up()
    old = [one for one in house.file.parent.iterdir() if one not in (house.file, house.file.with_name("lock"))]
    assert [one.read_text() for one in old] == [before]
    assert old[0].stat().st_mode & 0o777 == 0o600


def test_a_vault_that_others_opened_is_left_alone(house: House) -> None:
    house.unseal()
    house.file.unlink()
    assert house.unseal()["changed"] is False
    assert not house.file.exists()


def test_a_root_token_that_others_revoked_too_early_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed(patch, VaultSystem, "enable_approle")
        with pytest.raises(Killed):
            house.unseal()
    assert house.vault.call("POST", "auth/token/revoke-self", token=house.root_token)[0] == 204
    error = house.refused()
    assert error.code == "VAULT_SETUP_LOST" and "generate-root" in error.hint


def test_a_vault_that_is_away_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_seal, "_PATIENCE", 0.2)
    house.vault.port = free_port()
    error = house.refused(Unhealthy)
    assert error.code == "VAULT_UNREACHABLE" and error.exit_code == 5
    assert not house.file.exists()


def test_a_vault_that_opens_itself_is_left_alone(house: House, new_openbao: OpenBao) -> None:
    house.vault.port = new_openbao.port
    assert house.unseal() == {"changed": False, "initialised": False, "detail": "it opens itself"}
    assert not house.file.exists()
