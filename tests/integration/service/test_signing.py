"""Tokens signed by a real Vault: rotation, retirement, a token of our own that ends, a Vault that goes away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from service.adapters.signing import TransitSigner
from service.adapters.vault_session import Handover, Identity, SecretId, VaultSession
from service.core.errors import Unauthenticated, VaultUnavailable
from service.core.settings import Secret
from service.services.tokens import Tokens
from tests.integration.service.conftest import run
from tests.integration.service.servers import OpenBao
from tests.unit.service.forge import TENANT, USER, Clock, opened

PATIENCE = 0.5


@dataclass
class House:
    """A vault with the key that tokens are signed with, and the API's way into it."""

    openbao: OpenBao
    sessions: list[VaultSession] = field(default_factory=list)

    def operate(self, method: str, path: str, data: object = None) -> Any:
        status, body = self.openbao.call(method, path, data, token=self.openbao.sign_in())
        assert status in (200, 204), body
        return body

    def rotate(self) -> None:
        self.operate("POST", "transit/keys/jwt/rotate", {})

    def retire_below(self, version: int) -> None:
        self.operate("POST", "transit/keys/jwt/config", {"min_decryption_version": version})

    def session(self, identity: Identity | None = None) -> VaultSession:
        """A process's way in; by default that of an API that something was handed over to."""
        way = identity or Handover("jeex-api", self.openbao.hand_over())
        session = VaultSession(self.openbao.address, way, timeout=1.0, patience=PATIENCE)
        self.sessions.append(session)
        return session

    def signer(self) -> TransitSigner:
        return TransitSigner(self.session())

    def revoke(self) -> None:
        """End the tokens that the API's sessions have now."""
        for session in self.sessions:
            if session._vault is not None:
                self.openbao.call("POST", "auth/token/revoke-self", {}, token=session._vault.client.token)


@pytest.fixture
def house(openbao: OpenBao) -> Iterator[House]:
    one = House(openbao)
    make_key(openbao)
    yield one
    for session in one.sessions:
        run(session.close())


def make_key(openbao: OpenBao, kind: str = "ecdsa-p256") -> None:
    vault = openbao.as_setup()
    assert openbao.call("POST", "transit/keys/jwt", {"type": kind}, token=vault.client.token)[0] == 200
    vault.close()


async def issued(tokens: Tokens) -> str:
    token = await tokens.issue(tenant_id=TENANT, tenant_slug="acme", user_id=USER, role="admin")
    return token.value.reveal()


async def code(work: Any) -> str:
    """Of the VaultUnavailable that `work` must raise."""
    with pytest.raises(VaultUnavailable) as caught:
        await work
    return caught.value.code


def test_a_token_that_vault_signed_is_verified_without_it(house: House) -> None:
    async def work() -> None:
        tokens = Tokens(house.signer())
        text = await issued(tokens)
        assert opened(text, 0)["kid"] == "1"
        house.openbao.stop()
        found = await tokens.verify(text)
        assert (found.tenant_id, found.user_id, found.role) == (TENANT, USER, "admin")

    run(work())


def test_a_rotation_from_its_announcement_to_the_end_of_the_old_key(house: House) -> None:
    async def work() -> None:
        clock = Clock()
        tokens = Tokens(house.signer(), clock=clock, monotonic=clock)
        old = await issued(tokens)
        assert (await tokens.verify(old)).user_id == USER
        house.rotate()
        clock.now += 61
        assert [one["kid"] for one in (await tokens.jwks())["keys"]] == ["1", "2"]
        assert opened(await issued(tokens), 0)["kid"] == "1"
        clock.now += 121
        new = await issued(tokens)
        assert opened(new, 0)["kid"] == "2"
        for text in (old, new):
            assert (await tokens.verify(text)).user_id == USER
        house.retire_below(2)
        clock.now += 61
        assert [one["kid"] for one in (await tokens.jwks())["keys"]] == ["2"]
        assert (await tokens.verify(new)).user_id == USER
        with pytest.raises(Unauthenticated):
            await tokens.verify(old)

    run(work())


def test_a_key_that_was_retired_a_moment_ago_is_not_tried_for_long(house: House) -> None:
    async def work() -> None:
        signer = house.signer()
        tokens = Tokens(signer)
        await issued(tokens)
        house.rotate()
        house.retire_below(2)
        began = time.monotonic()
        for kid in ("1", "3"):  # gone, and not there yet
            assert await code(signer.sign(b"x", kid)) == VaultUnavailable.KEY_REFUSED
        assert time.monotonic() - began < PATIENCE
        assert opened(await issued(tokens), 0)["kid"] == "2"

    run(work())


def test_our_own_token_may_end_at_any_time(house: House) -> None:
    async def work() -> None:
        session = house.session()
        signer = TransitSigner(session)
        tokens = Tokens(signer)
        await issued(tokens)
        for _ in range(2):
            house.revoke()
            before = session.signed_in
            texts = await asyncio.gather(*[issued(tokens) for _ in range(20)])
            assert len(set(texts)) == 20
            assert session.signed_in == before + 1  # once, however many notice
        house.revoke()
        assert list(await signer.public_keys()) == ["1"]

    run(work())


def test_the_api_may_sign_and_read_and_nothing_else(house: House) -> None:
    session = house.session()

    async def work() -> None:
        signer = TransitSigner(session)
        await signer.public_keys()
        await signer.sign(b"x", "1")

    run(work())
    assert session._vault is not None
    token = session._vault.client.token
    assert house.openbao.call("POST", "secret/data/jeex/other", {"data": {}}, token=house.openbao.sign_in())[0] == 200
    for path in ("secret/data/jeex/settings", "secret/data/jeex/oauth/github", "secret/data/jeex/database"):
        assert house.openbao.call("GET", path, token=token)[0] == 404, path
    for name in ("app", "admin"):
        assert house.openbao.call("GET", f"database/creds/{name}", token=token)[0] == 200
    for method, path in (
        ("POST", "transit/keys/jwt"),
        ("POST", "transit/keys/jwt/rotate"),
        ("POST", "transit/keys/jwt/config"),
        ("DELETE", "transit/keys/jwt"),
        ("GET", "transit/export/signing-key/jwt"),
        ("GET", "transit/backup/jwt"),
        ("GET", "transit/keys/other"),
        ("POST", "transit/keys/other"),
        ("POST", "transit/sign/other"),
        ("LIST", "transit/keys"),
        ("GET", "secret/data/jeex/other"),
        ("POST", "secret/data/jeex/settings"),
        ("POST", "secret/data/jeex/api-pepper"),
        ("POST", "secret/data/jeex/other"),
        ("DELETE", "secret/data/jeex/other"),
        ("GET", "secret/data/other"),
        ("LIST", "secret/metadata/jeex"),
        ("GET", "sys/policies/acl/jeex-api"),
        ("PUT", "sys/policies/acl/jeex-api"),
        ("POST", "sys/mounts/other"),
        ("GET", "auth/approle/role/jeex-api"),
        ("POST", "auth/approle/role/jeex-api/secret-id"),
        ("POST", "auth/approle/role/jeex-worker/secret-id"),
        ("POST", "auth/approle/role/jeex-api/custom-secret-id"),
        ("POST", "database/rotate-root/jeex"),
        ("GET", "database/config/jeex"),
        ("POST", "auth/approle/role/jeex-operator/secret-id"),
        ("POST", "auth/token/create"),
    ):
        assert house.openbao.call(method, path, {}, token=token)[0] == 403, (method, path)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_vault_that_goes_away_and_comes_back(house: House, how: signal.Signals) -> None:
    async def work() -> None:
        tokens = Tokens(house.signer())
        text = await issued(tokens)
        await tokens.verify(text)
        house.openbao.stop(how)
        began = time.monotonic()
        assert await code(issued(tokens)) == VaultUnavailable.UNREACHABLE
        assert time.monotonic() - began < 2 * PATIENCE
        assert (await tokens.verify(text)).user_id == USER
        assert (await tokens.jwks())["keys"]
        await asyncio.to_thread(house.openbao.start)
        assert (await tokens.verify(await issued(tokens))).user_id == USER

    run(work())


def test_a_vault_that_is_not_there_yet(house: House) -> None:
    async def work() -> None:
        tokens = Tokens(house.signer())
        house.openbao.stop()
        for what in (issued(tokens), tokens.jwks()):
            assert await code(what) == VaultUnavailable.UNREACHABLE
        await asyncio.to_thread(house.openbao.start)
        await asyncio.sleep(1.1)
        assert (await tokens.verify(await issued(tokens))).user_id == USER

    run(work())


def test_a_secret_id_that_vault_does_not_know_is_named(house: House) -> None:
    async def work() -> None:
        tokens = Tokens(TransitSigner(house.session(SecretId("jeex-operator", Secret("another")))))
        with pytest.raises(VaultUnavailable, match="refuses the role jeex-operator") as caught:
            await issued(tokens)
        assert caught.value.code == VaultUnavailable.REFUSED

    run(work())


def test_an_installation_without_vault_says_so() -> None:
    async def work() -> None:
        for session in (
            VaultSession("http://127.0.0.1:1", None),
            VaultSession("", SecretId("jeex-api", Secret("x"))),
        ):
            tokens = Tokens(TransitSigner(session))
            assert await code(tokens.jwks()) == VaultUnavailable.NOT_CONFIGURED
            assert await code(issued(tokens)) == VaultUnavailable.NOT_CONFIGURED
            await session.close()

    run(work())


@pytest.mark.parametrize("kind", [None, "aes256-gcm96", "ed25519", "ecdsa-p384"])
def test_a_key_that_is_missing_or_of_another_kind(openbao: OpenBao, kind: str | None) -> None:
    if kind:
        make_key(openbao, kind)
    session = House(openbao).session()
    assert run(code(TransitSigner(session).public_keys())) == ("VAULT_KEY_KIND" if kind else "VAULT_KEY_MISSING")
    run(session.close())


def test_what_is_not_allowed_is_an_error_and_no_reason_to_sign_in_again(house: House) -> None:
    session = house.session(SecretId("jeex-operator", Secret(house.openbao.secret_id)))

    async def work() -> None:
        signer = TransitSigner(session)
        assert list(await signer.public_keys()) == ["1"]
        assert await code(signer.sign(b"x", "1")) == VaultUnavailable.FORBIDDEN  # the operator signs nothing
        assert session.signed_in == 1

    run(work())
