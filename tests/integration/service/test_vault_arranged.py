"""What the seed process makes in a Vault that is open, and puts right."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.adapters.vault import Vault
from service.adapters.vault_system import VaultSystem
from service.core.settings import Secret
from service.services import vault_setup
from tests.integration.service.shamir import House
from tests.integration.service.shamir import house as house  # noqa: PLC0414 - a fixture


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
