"""Secrets with versions: what a SecretStore promises, of the real one and of its double alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.adapters.secret_store import LocalSecrets, SecretStore
from service.adapters.vault import Vault
from service.adapters.vault_secrets import VaultSecrets
from service.core.errors import Conflict, VaultUnavailable
from service.core.settings import Secret
from service.services import vault_setup
from tests.integration.service.machine import free_port
from tests.integration.service.servers import OpenBao


@pytest.fixture
def operator(openbao: OpenBao) -> Iterator[Vault]:
    vault = Vault(openbao.address)
    vault.sign_in(vault_setup.OPERATOR, Secret(openbao.secret_id))
    yield vault
    vault.close()


@pytest.fixture(params=["vault", "double"])
def store(request: pytest.FixtureRequest) -> SecretStore:
    return VaultSecrets(request.getfixturevalue("operator")) if request.param == "vault" else LocalSecrets()


def test_what_was_written_is_read_and_every_version_is_kept(store: SecretStore) -> None:
    assert store.get("jeex/new") is None
    assert store.metadata("jeex/new") is None
    assert store.put("jeex/new", {"a": "1"}) == 1
    assert store.put("jeex/new", {"a": "2", "ü": "ÿ\n\0"}) == 2
    newest, first = store.get("jeex/new"), store.get("jeex/new", 1)
    assert newest is not None and first is not None
    assert (dict(newest.values), newest.version) == ({"a": "2", "ü": "ÿ\n\0"}, 2)
    assert (dict(first.values), first.version) == ({"a": "1"}, 1)
    assert first.created_at <= newest.created_at
    about = store.metadata("jeex/new")
    assert about is not None
    assert (about.current, [one.version for one in about.versions]) == (2, [1, 2])
    assert store.get("jeex/new", 3) is None
    assert "2" not in repr(newest).replace("version=2", "")


def test_who_has_seen_another_version_does_not_write(store: SecretStore) -> None:
    store.put("jeex/new", {"a": "1"}, seen=0)
    for seen in (0, 2):
        with pytest.raises(Conflict) as caught:
            store.put("jeex/new", {"a": "2"}, seen=seen)
        assert caught.value.code == "SECRET_CHANGED"
    assert store.put("jeex/new", {"a": "3"}, seen=1) == 2
    newest = store.get("jeex/new")
    assert newest is not None
    assert newest.values == {"a": "3"}


def test_of_two_writers_who_have_seen_the_same_one_fails(store: SecretStore) -> None:
    store.put("jeex/new", {"a": "0"})

    def write(number: int) -> str:
        try:
            return str(store.put("jeex/new", {"a": str(number)}, seen=1))
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(write, (1, 2))) == ["2", "SECRET_CHANGED"]


def test_what_was_deleted_comes_back(store: SecretStore) -> None:
    store.put("jeex/new", {"a": "1"})
    store.put("jeex/new", {"a": "2"})
    store.delete("jeex/new")
    assert store.get("jeex/new") is None
    about = store.metadata("jeex/new")
    assert about is not None
    assert [one.deleted_at is None for one in about.versions] == [True, False]
    first = store.get("jeex/new", 1)
    assert first is not None
    assert first.values == {"a": "1"}
    store.undelete("jeex/new", [2])
    newest = store.get("jeex/new")
    assert newest is not None
    assert newest.values == {"a": "2"}
    store.delete("jeex/new", [1])
    assert store.get("jeex/new", 1) is None


def test_names_are_those_below_a_path(store: SecretStore) -> None:
    assert store.names("jeex") == []
    for path in ("jeex/b", "jeex/a", "jeex/c/d", "jeex/c/e/f"):
        store.put(path, {"x": "y"})
    assert store.names("jeex") == ["a", "b", "c/"]
    assert store.names("jeex/c") == ["d", "e/"]


def test_remarks_stay_whatever_is_written(store: SecretStore) -> None:
    store.put("jeex/new", {"a": "1"})
    store.annotate("jeex/new", {"max_age": "90d"})
    store.put("jeex/new", {"a": "2"})
    about = store.metadata("jeex/new")
    assert about is not None
    assert about.notes == {"max_age": "90d"}


def test_what_the_role_may_not_is_said_and_not_taken_for_absence(openbao: OpenBao, operator: Vault) -> None:
    store = VaultSecrets(operator)
    for ask in (
        lambda: store.get("other"),
        lambda: store.put("other", {"a": "1"}),
        lambda: store.delete("other"),
        lambda: store.names("other"),
        lambda: store.metadata("other"),
    ):
        with pytest.raises(VaultUnavailable) as caught:
            ask()
        assert caught.value.code == VaultUnavailable.FORBIDDEN


def test_a_vault_that_is_away_is_waited_for_as_long_as_was_said(openbao: OpenBao, operator: Vault) -> None:
    openbao.stop()
    with pytest.raises(VaultUnavailable) as caught:
        Vault(openbao.address, patience=0.2).sign_in("jeex-operator", Secret("x"))
    assert caught.value.code == VaultUnavailable.UNREACHABLE
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(VaultSecrets(operator).names, "jeex")  # patient for ten seconds
        openbao.start()
        assert reading.result() == []
    with pytest.raises(VaultUnavailable, match="cannot be reached"):
        Vault(f"http://127.0.0.1:{free_port()}").version()
