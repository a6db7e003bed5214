"""When keys are read, which one signs, and what is remembered of tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from service.adapters.signing import LocalSigner
from service.core.errors import Unauthenticated, VaultUnavailable
from service.services.tokens import Tokens
from tests.unit.service.forge import TENANT, USER, House, opened


@pytest.fixture
def house() -> House:
    return House()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def issued(tokens: Tokens) -> str:
    token = await tokens.issue(tenant_id=TENANT, tenant_slug="acme", user_id=USER, role="admin")
    return token.value.reveal()


async def holds(tokens: Tokens, text: str) -> bool:
    try:
        return (await tokens.verify(text)).user_id == USER
    except Unauthenticated:
        return False


async def settled() -> None:
    """Until what goes on in the background is done."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.gather(*others)


def kids(published: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["kid"] for one in published["keys"]]


# --- Tokens that were verified before


def test_a_token_is_verified_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = await issued(tokens)
        assert await holds(tokens, text)
        monkeypatch.setattr("service.services.tokens._proved", None)  # from here on nothing can be verified
        first = await tokens.verify(text)
        with pytest.raises(StopIteration):  # it is there at once: the coroutine never waits
            tokens.verify(text).send(None)
        began = time.perf_counter()
        for _ in range(1000):
            assert await tokens.verify(text) is first
        assert time.perf_counter() - began < 0.5  # a signature alone would take twice as long
        assert text not in repr(vars(tokens))

    run(work())


def test_it_is_remembered_until_it_ends(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = await issued(tokens)
        assert await holds(tokens, text)
        house.clock.now += 604
        assert await holds(tokens, text)
        house.clock.now += 1
        assert not await holds(tokens, text)

    run(work())


def test_what_is_remembered_is_bounded_and_what_has_ended_goes_first(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens(size=3)
        texts = [await issued(tokens) for _ in range(5)]
        assert all([await holds(tokens, text) for text in [*texts, *texts]])
        assert len(tokens._verified) == 3
        house.clock.now += 606
        assert await holds(tokens, await issued(tokens))
        assert len(tokens._verified) == 1

    run(work())


# --- Reading the keys


def test_keys_are_read_when_first_needed_and_by_one_of_all_who_need_them(house: House) -> None:
    async def work() -> None:
        text = await issued(house.tokens())
        house.signer.readings = 0
        tokens = house.tokens()
        assert all(await asyncio.gather(*[holds(tokens, text) for _ in range(500)]))
        assert house.signer.readings == 1

    run(work())


def test_unknown_keys_are_asked_for_once_in_five_seconds(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        await tokens.jwks()
        junk = [await house.forged(header={"kid": f"unknown-{number}"}) for number in range(500)]
        for readings in (2, 3):
            house.clock.now += 5.1
            assert not any(await asyncio.gather(*[holds(tokens, text) for text in junk]))
            assert not any([await holds(tokens, text) for text in junk])
            assert house.signer.readings == readings

    run(work())


def test_a_new_key_is_found_at_once(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        await tokens.jwks()
        house.clock.now += 6
        text = await house.forged(kid=house.signer.rotate())
        assert await holds(tokens, text)

    run(work())


def test_old_keys_are_read_again_in_the_background_while_what_is_known_serves(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = await issued(tokens)
        for seconds, readings in ((59, 1), (2, 2), (1, 2), (61, 3)):
            house.clock.now += seconds
            assert all([await holds(tokens, text) for _ in range(10)])
            await settled()
            assert house.signer.readings == readings

    run(work())


def test_one_who_gives_up_does_not_end_the_reading_for_others() -> None:
    class Slow(LocalSigner):
        async def public_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
            await asyncio.sleep(0.05)
            return await super().public_keys()

    async def work() -> None:
        house = House(signer=Slow())
        tokens, text = house.tokens(), await house.forged()
        first = asyncio.create_task(holds(tokens, text))
        second = asyncio.create_task(holds(tokens, text))
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second
        assert first.cancelled()
        assert house.signer.readings == 1

    run(work())


# --- Vault away


def test_while_vault_is_away_known_keys_go_on_verifying(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = await issued(tokens)
        fresh = await issued(tokens)
        assert await holds(tokens, text)
        house.signer.away = True
        house.clock.now += 500
        for _ in range(50):
            house.clock.now += 1
            assert await holds(tokens, text)
            await settled()
        assert house.signer.readings <= 1 + 50 / 5  # a Vault that is away is not asked all the time
        assert await holds(tokens, fresh)  # and tokens that were never seen
        assert kids(await tokens.jwks()) == ["1"]
        with pytest.raises(VaultUnavailable):
            await issued(tokens)
        house.signer.away = False
        assert await holds(tokens, await issued(tokens))

    run(work())


def test_a_vault_that_was_never_there_is_no_verdict_about_tokens(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = await house.forged()
        house.signer.away = True
        for what in (tokens.verify(text), tokens.verify(text), tokens.jwks(), issued(tokens)):
            with pytest.raises(VaultUnavailable, match="the signer is away"):
                await what
        assert house.signer.readings == 1  # nor is it asked by everybody
        with pytest.raises(Unauthenticated):
            await tokens.verify("junk")
        house.signer.away = False
        house.clock.now += 1.1
        assert await holds(tokens, text)

    run(work())


# --- Rotation


def test_a_new_key_is_published_before_it_signs(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens(announced=120)
        assert opened(await issued(tokens), 0)["kid"] == "1"
        house.signer.rotate()
        house.clock.now += 61
        assert kids(await tokens.jwks()) == ["1", "2"]
        for seconds, kid in ((0, "1"), (119, "1"), (1, "2"), (1000, "2")):
            house.clock.now += seconds
            assert opened(await issued(tokens), 0)["kid"] == kid

    run(work())


def test_a_process_that_starts_after_a_rotation_waits_too(house: House) -> None:
    async def work() -> None:
        house.signer.rotate()
        house.signer.rotate()
        tokens = house.tokens(announced=120)
        assert opened(await issued(tokens), 0)["kid"] == "2"  # 3 may have been made a second ago
        house.clock.now += 120
        assert opened(await issued(tokens), 0)["kid"] == "3"

    run(work())


def test_tokens_end_with_their_key(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        old = await issued(tokens)
        assert await holds(tokens, old)
        new = await house.forged(kid=house.signer.rotate())
        house.signer.retire("1")
        house.clock.now += 61
        assert await holds(tokens, old)  # for the last time: this has the keys read again
        await settled()
        assert not await holds(tokens, old)
        assert await holds(tokens, new)
        assert kids(await tokens.jwks()) == ["2"]

    run(work())


def test_a_key_that_was_just_retired_does_not_sign_and_the_next_one_does(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        await issued(tokens)
        house.signer.rotate()
        house.signer.retire("1")
        text = await issued(tokens)  # a second later: what was read is still young
        assert opened(text, 0)["kid"] == "2"
        assert await holds(tokens, text)

    run(work())
