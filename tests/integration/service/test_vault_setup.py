"""A Vault that neither opens nor sets itself up, as HashiCorp's: jeex does both, and may be killed anywhere.

The server is OpenBao with the configuration that HashiCorp's Vault gets. What it says otherwise than that one stands in
service/adapters/vault.py; tests/docker tries the images.
"""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import JeexError, Unhealthy
from jeex_cli.ops import vault_seal
from jeex_cli.output import Output
from jeex_cli.session import Session, open_session
from service.adapters.vault import Vault
from service.adapters.vault_system import Initialised, VaultSystem
from service.core.settings import Secret
from service.services import vault_setup
from tests.integration.service.machine import free_port, until
from tests.integration.service.servers import TEMPLATES, OpenBao, Postgres


class Killed(BaseException):
    """jeex ends here."""


@dataclass
class Shamir(OpenBao):
    """OpenBao as HashiCorp's Vault is started. It is let be told of its audit log, as that one is."""

    config: Path = TEMPLATES / "vault" / "server.hcl"

    def prepare(self) -> None:
        super().prepare()
        listener = f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  tls_disable = true\n}}\n'
        (self.folder / "listener.hcl").write_text(f"{listener}unsafe_allow_api_audit_creation = true\n")

    def start(self) -> None:
        self.launch()
        until(lambda: self.call("GET", "sys/seal-status")[0] == 200)

    @property
    def state(self) -> tuple[bool, bool, int]:
        """Initialised, sealed, keys put in so far."""
        found = self.call("GET", "sys/seal-status")[1]
        return found["initialized"], found["sealed"], found["progress"]


@dataclass
class House:
    """A Vault, the folder of a project whose stack it is in, and what Vault said when it was initialised."""

    vault: Shamir
    folder: Path
    said: list[Initialised] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / ".jeex" / "vault-keys.json"

    def session(self) -> Session:
        environ = {"JEEX_VAULT_PORT": str(self.vault.port), "JEEX_VAULT_SETUP_SECRET": self.vault.setup_secret_id}
        output = Output(stdout=io.StringIO(), stderr=io.StringIO())
        return open_session(folder=str(self.folder), flags={}, environ=environ, output=output, cwd=self.folder)

    def unseal(self) -> dict[str, object]:
        return vault_seal.unseal(self.session())

    def refused(self, kind: type[JeexError] = JeexError) -> JeexError:
        with pytest.raises(kind) as raised:
            self.unseal()
        error = raised.value
        shown = f"{error.message} {error.detail} {error.hint} {error.data}"
        assert all(one not in shown for one in self.secrets)
        assert error.hint and error.message
        return error

    def restart(self) -> None:
        self.vault.stop()
        self.vault.start()

    @property
    def root_token(self) -> str:
        return self.said[-1].root_token.reveal()

    @property
    def secrets(self) -> list[str]:
        keys = [key.reveal() for made in self.said for key in made.keys]
        return [*keys, *(made.root_token.reveal() for made in self.said), self.vault.setup_secret_id]

    def assert_set_up(self) -> None:
        """Open, with a way in for the seed process and an audit log; nobody has a root token."""
        assert self.vault.state == (True, False, 0)
        kept = json.loads(self.file.read_text())
        assert kept == {"version": 1, "keys": [key.reveal() for key in self.said[-1].keys]}
        assert self.file.stat().st_mode & 0o777 == 0o600
        assert self.vault.call("GET", "auth/token/lookup-self", token=self.root_token)[0] == 403
        vault = self.vault.as_setup()
        assert VaultSystem(vault).audited()
        vault.close()


@pytest.fixture
def house(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A Vault that was never used."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = House(Shamir(tmp_path / "vault", postgres), folder)
    made.vault.prepare()
    initialise = VaultSystem.initialise

    def remembered(system: VaultSystem, **options: int) -> Initialised:
        made.said.append(initialise(system, **options))
        return made.said[-1]

    monkeypatch.setattr(VaultSystem, "initialise", remembered)
    try:
        made.vault.start()
        yield made
    finally:
        made.vault.stop()
        postgres.sql("TRUNCATE vault_kv_store", database="jeex_vault")


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool = False, turn: int = 1) -> None:
    """Have jeex end before (or after) the call of that turn. What is called later runs as ever."""
    whole: Callable[..., Any] = getattr(owner, name)
    turns = iter(range(1, 100))

    def cut(*arguments: Any, **options: Any) -> Any:
        mine = next(turns) == turn
        if mine and not after:
            raise Killed
        result = whole(*arguments, **options)
        if mine:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, cut)


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


# --- keys ---


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


# --- what the seed process then does ---


@pytest.fixture
def system(house: House) -> Iterator[VaultSystem]:
    """A Vault that is set up, signed in to as the seed process."""
    house.unseal()
    vault = house.vault.as_setup()
    yield VaultSystem(vault)
    vault.close()


def test_what_is_missing_is_made_once(system: VaultSystem) -> None:
    assert vault_setup.ensure(system) == [
        *("engine secret", "engine transit", "engine database"),
        *("policy jeex-operator", "policy jeex-api", "policy jeex-worker"),
        "audit log's headers",
    ]
    assert vault_setup.ensure(system) == []


def test_what_was_changed_by_hand_is_put_right(house: House, system: VaultSystem) -> None:
    vault_setup.ensure(system)
    system.write_policy("jeex-api", 'path "*" { capabilities = ["read"] }')
    system.write_role("jeex-worker", token_policies=["jeex-operator"], token_period="720h", secret_id_num_uses=0)
    assert vault_setup.ensure(system) == ["policy jeex-api"]
    assert system.policy("jeex-api") == vault_setup.declared_policy("jeex-api")
    assert vault_setup.ensure(system) == []
    handed = house.vault.settings("jeex-worker")
    vault = Vault(house.vault.address)
    secret_id = vault.open_handover(Secret(Path(handed["VAULT_HANDOVER"]).read_text().strip()))
    assert vault.sign_in("jeex-worker", secret_id) <= 3600
    about = vault.client.auth.token.lookup_self()["data"]
    assert set(about["policies"]) == {"default", "jeex-worker"}
    vault.close()


def test_two_at_once_are_both_content(house: House, system: VaultSystem) -> None:
    def ensure(_: int) -> list[str]:
        vault = house.vault.as_setup()
        try:
            return vault_setup.ensure(VaultSystem(vault))
        finally:
            vault.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ensure, range(4)))
    assert vault_setup.ensure(system) == []


def test_nobody_but_the_seed_process_may_arrange(house: House) -> None:
    house.unseal()
    house.vault.arrange()
    token = house.vault.sign_in()
    for path in ("sys/policies/acl/jeex-api", "sys/mounts/other", "sys/audit/other", "auth/approle/role/jeex-api"):
        assert house.vault.call("POST", path, {"policy": "", "type": "kv"}, token=token)[0] == 403, path
    setup = house.vault.as_setup()
    for path in ("sys/policies/acl/other", "sys/mounts/other", "auth/approle/role/other", "auth/token/create"):
        assert house.vault.call("POST", path, {"policy": "", "type": "kv"}, token=setup.client.token)[0] == 403, path
    setup.close()
