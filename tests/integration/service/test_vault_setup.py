"""jeex opens and sets up a Vault that does neither itself, and may be killed anywhere."""

from __future__ import annotations

import io
import signal
from typing import Any

import pytest

from jeex_cli.ops import vault_seal
from service.adapters.vault import Vault
from service.adapters.vault_system import VaultSystem
from tests.integration.service.servers import TEMPLATES
from tests.integration.service.shamir import House, Killed, killed
from tests.integration.service.shamir import house as house  # noqa: PLC0414 - a fixture


def test_a_new_vault_is_initialised_opened_and_set_up(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    session = house.session()
    assert vault_seal.keys_file(session) == house.file
    found = vault_seal.unseal(session)
    assert (found["changed"], found["initialised"]) == (True, True)
    house.assert_set_up()
    assert len(house.said[0].keys) == 5
    assert house.vault.call("GET", "sys/seal-status")[1]["t"] == 3
    assert [one.name for one in house.file.parent.iterdir() if one.name != "lock"] == ["vault-keys.json"]
    printed = capfd.readouterr()
    assert isinstance(session.output.stdout, io.StringIO) and isinstance(session.output.stderr, io.StringIO)
    said = f"{found} {printed} {session.output.stdout.getvalue()} {session.output.stderr.getvalue()}"
    assert all(one not in said for one in house.secrets)

    assert house.unseal() == {"changed": False, "initialised": False, "detail": "it is open"}
    assert len(house.said) == 1


def test_every_request_is_written_down_and_no_secret_with_it(house: House) -> None:
    house.unseal()
    house.vault.arrange()
    written = (house.vault.folder / "bao.log").read_text()
    assert any('"path":"sys/policies/acl/jeex-setup"' in line for line in written.splitlines())
    assert all(one not in written for one in (*house.secrets, house.vault.secret_id))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_after_a_restart_it_is_sealed_until_it_is_opened_again(house: House, how: signal.Signals) -> None:
    house.unseal()
    house.vault.arrange()
    token = house.vault.sign_in()
    path = "secret/data/jeex/settings"
    assert house.vault.call("POST", path, {"data": {"A": "kept"}}, token=token)[0] == 200
    house.vault.stop(how)
    house.vault.start()
    assert house.vault.state == (True, True, 0)
    assert house.unseal() == {"changed": True, "initialised": False, "detail": "unsealed"}
    house.assert_set_up()
    body = house.vault.call("GET", path, token=house.vault.sign_in())[1]
    assert body["data"]["data"] == {"A": "kept"}


# --- interrupted ---

# What is called, in order: jeex is killed before each, and after those whose answer or effect would be lost.
STEPS: list[tuple[Any, str, bool, int]] = [
    (VaultSystem, "initialise", False, 1),
    (vault_seal, "_keep", True, 2),  # the keys are on the disk
    (VaultSystem, "unseal", False, 1),
    (VaultSystem, "unseal", True, 1),
    (VaultSystem, "enable_audit", False, 1),
    (VaultSystem, "enable_audit", True, 1),
    (VaultSystem, "enable_approle", True, 1),
    (VaultSystem, "write_policy", True, 1),
    (VaultSystem, "write_role", True, 1),
    (VaultSystem, "set_secret_id", False, 1),
    (VaultSystem, "set_secret_id", True, 1),
    (Vault, "sign_out", True, 1),  # the root token is revoked, the file does not say so
    (vault_seal, "_keep", True, 3),
]


@pytest.mark.parametrize(
    "step", STEPS, ids=[f"{'after' if after else 'before'}-{name}-{turn}" for _, name, after, turn in STEPS]
)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "and-restarted"])
def test_killed_anywhere_the_next_run_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str, bool, int], restarted: bool
) -> None:
    owner, name, after, turn = step
    with monkeypatch.context() as patch:
        killed(patch, owner, name, after=after, turn=turn)
        with pytest.raises(Killed):
            house.unseal()
    assert house.file.stat().st_mode & 0o777 == 0o600
    if restarted:
        house.restart()
    house.unseal()
    assert len(house.said) == 1
    house.assert_set_up()
    house.vault.arrange()


def test_killed_halfway_through_the_keys(house: House) -> None:
    house.unseal()
    house.restart()
    for key in house.said[0].keys[:2]:
        house.vault.call("POST", "sys/unseal", {"key": key.reveal()})
    assert house.vault.state == (True, True, 2)
    assert house.unseal()["changed"] is True
    house.assert_set_up()


def test_what_others_began_to_put_in_does_not_spoil_it(house: House) -> None:
    house.unseal()
    house.restart()
    house.vault.call("POST", "sys/unseal", {"key": "ab" * 33})
    house.unseal()
    house.assert_set_up()


@pytest.mark.parametrize("restarted", [False, True], ids=["", "and-restarted"])
def test_killed_before_vault_answered_it_says_how_to_begin_anew(
    house: House, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    with monkeypatch.context() as patch:
        killed(patch, VaultSystem, "initialise", after=True)
        with pytest.raises(Killed):
            house.unseal()
    if restarted:
        house.restart()
    assert house.vault.state == (True, True, 0)
    error = house.refused()
    assert error.code == "VAULT_KEYS_MISSING"
    assert "interrupted" in error.detail and "unfinished.sql" in error.hint and "restart vault" in error.hint
    assert unfinished(house) == 0
    house.restart()
    assert house.unseal()["initialised"] is True
    house.assert_set_up()


def test_the_storage_of_a_vault_that_was_set_up_is_not_emptied(house: House) -> None:
    house.unseal()
    assert unfinished(house) != 0
    house.restart()
    house.unseal()
    house.assert_set_up()


def unfinished(house: House) -> int:
    """What the hint says to run; psql's exit code."""
    script = str(TEMPLATES / "vault" / "unfinished.sql")
    return house.vault.postgres.psql("-f", script, database="jeex_vault").returncode
