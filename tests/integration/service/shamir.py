"""A Vault that neither opens nor sets itself up, as HashiCorp's, and the project that it is in.

The server is OpenBao with the configuration that HashiCorp's Vault gets. What it says otherwise than that one stands in
service/adapters/vault.py; tests/docker tries the images.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import JeexError
from jeex_cli.ops import vault_seal
from jeex_cli.output import Output
from jeex_cli.session import Session, open_session
from service.adapters.vault_system import Initialised, VaultSystem
from tests.integration.service.machine import until
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
