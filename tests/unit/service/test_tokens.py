"""Which tokens hold. Most of these are signed by the true key: it is the rest of them that is wrong."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import uuid
from collections.abc import Coroutine
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.signing import LocalSigner
from service.core.errors import Unauthenticated
from service.services.tokens import Token, Tokens
from tests.unit.service.forge import GONE, NOW, TENANT, USER, House, b64, opened, part, unsigned


@pytest.fixture
def house() -> House:
    return House()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def issued(tokens: Tokens) -> Token:
    return await tokens.issue(tenant_id=TENANT, tenant_slug="acme", user_id=USER, role="admin")


def refused(house: House, text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        run(house.tokens().verify(text))
    # One sentence for all: it is nobody's business how far a token came.
    assert (caught.value.message, caught.value.code) == ("this token is not valid", "UNAUTHENTICATED")


def test_a_token_says_who_it_was_issued_for_and_nothing_shows_it(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        token = await issued(tokens)
        text = token.value.reveal()
        assert (token.expires_in, token.expires_at.timestamp()) == (600, NOW + 600)
        assert text not in f"{token!r} {token}"
        assert opened(text, 0) == {"alg": "ES256", "typ": "at+jwt", "kid": "1"}
        claims = opened(text, 1)
        assert re.fullmatch("[0-9a-f]{32}", claims.pop("jti"))
        assert claims == {
            **{"iss": "jeex", "aud": "jeex-api", "sub": str(USER), "tid": str(TENANT), "tslug": "acme", "role": "admin"},
            **{"iat": NOW, "nbf": NOW, "exp": NOW + 600},
        }
        for _ in range(2):  # verified, and remembered
            found = await tokens.verify(text)
            assert (found.tenant_id, found.tenant_slug, found.user_id, found.role) == (TENANT, "acme", USER, "admin")
            assert found.expires_at == token.expires_at

    run(work())


def test_no_two_tokens_are_the_same(house: House) -> None:
    async def work() -> set[str]:
        tokens = house.tokens()
        return {opened((await issued(tokens)).value.reveal(), 1)["jti"] for _ in range(20)}

    assert len(run(work())) == 20


def test_other_programs_can_check_tokens_with_the_published_keys(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        text = (await issued(tokens)).value.reveal()
        published = await tokens.jwks()
        assert [set(key) for key in published["keys"]] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}]
        assert [(key["kid"], key["alg"], key["use"]) for key in published["keys"]] == [("1", "ES256", "sig")]
        key = jwt.PyJWKSet.from_dict(published)["1"]
        times = {f"verify_{name}": False for name in ("exp", "nbf", "iat")}
        claims = jwt.decode(text, key, algorithms=["ES256"], audience="jeex-api", options=times)
        assert claims["sub"] == str(USER)

    run(work())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"iss": ["jeex"]},
        {"aud": "another-api"},
        {"aud": ["jeex-api", "another-api"]},
        {"exp": NOW - 5},
        {"exp": NOW - 600, "iat": NOW - 1200, "nbf": NOW - 1200},
        {"nbf": NOW + 6},
        {"iat": NOW + 6},
        {"exp": NOW + 1e9},
        {"exp": NOW + 600.5},
        {"exp": str(int(NOW + 600))},
        {"exp": True},
        {"exp": 10**400},
        {"iat": None},
        {"nbf": [1]},
        {"tid": str(TENANT).upper() + " "},
        {"tid": TENANT.hex},
        {"tid": 1},
        {"tid": "{" + str(TENANT) + "}"},
        {"sub": "alice"},
        {"sub": 2},
        {"role": "superuser"},
        {"role": "Admin"},
        {"role": ["admin"]},
        {"role": ""},
        {"tslug": ""},
        {"tslug": 7},
        {"jti": 7},
    ],
    ids=repr,
)
def test_what_a_token_says_must_be_what_we_would_say(house: House, claims: dict[str, Any]) -> None:
    whole = {name: int(value) if type(value) is float and value.is_integer() else value for name, value in claims.items()}
    refused(house, run(house.forged(**whole)))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "tid", "tslug", "role", "iat", "nbf", "exp", "jti"])
def test_every_claim_must_be_there(house: House, name: str) -> None:
    refused(house, run(house.forged(**{name: GONE})))
    refused(house, run(house.forged(**{name: None})))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"alg": GONE},
        {"alg": ["ES256"]},
        {"typ": "JWT"},
        {"typ": GONE},
        {"kid": GONE},
        {"kid": "2"},
        {"kid": 1},
        {"kid": ["1"]},
        {"kid": "../1"},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": True},
        {"b64": False},
    ],
    ids=repr,
)
def test_the_header_says_one_algorithm_one_type_and_a_key_that_is_known(house: House, header: dict[str, Any]) -> None:
    refused(house, run(house.forged(header=header)))


def test_clocks_may_differ_by_a_few_seconds(house: House) -> None:
    now = int(NOW)
    for claims in ({"iat": now + 5, "nbf": now + 5}, {"iat": now - 600, "nbf": now - 600, "exp": now - 4}):
        assert run(house.tokens().verify(run(house.forged(**claims)))).user_id == USER


def test_the_public_key_is_no_secret_to_sign_with(house: House) -> None:
    public = run(house.signer.public_keys())["1"]
    message = unsigned(header={"alg": "HS256"})
    for encoding in (Encoding.PEM, Encoding.DER):
        secret = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        refused(house, f"{message}.{b64(hmac.digest(secret, message.encode(), hashlib.sha256))}")
        refused(house, f"{message}.{b64(hmac.digest(secret, message.encode(), hashlib.sha512))}")  # as long as ours


def test_nothing_and_nobody_elses_signature_will_do(house: House) -> None:
    message = unsigned()
    for none in ("none", "None", "NONE", "nOnE"):
        refused(house, f"{unsigned(header={'alg': none})}.")
    refused(house, f"{message}.")
    refused(house, f"{message}.{b64(bytes(64))}")  # r = s = 0
    refused(house, f"{message}.{b64(bytes([255]) * 64)}")
    refused(house, f"{message}.{b64(run(LocalSigner().sign(message.encode(), '1')))}")


def test_keys_that_a_token_brings_along_are_not_looked_at(house: House) -> None:
    """Neither are addresses of keys: there is no socket in this test."""
    mine = LocalSigner()
    key = run(Tokens(mine).jwks())["keys"][0]
    for header in ({"jwk": key}, {"jku": "http://127.0.0.1:9/jwks.json"}, {"x5u": "http://127.0.0.1:9/"}, {"x5c": ["MIIB"]}):
        message = unsigned(header=header)
        refused(house, f"{message}.{b64(run(mine.sign(message.encode(), '1')))}")


def test_a_changed_token_does_not_hold(house: House) -> None:
    text = run(issued(house.tokens())).value.reveal()
    header, claims, signature = text.split(".")
    other = part({**opened(text, 1)}, {"role": "owner"})
    for changed in (
        f"{header}.{other}.{signature}",
        f"{header}.{claims}.{signature[:-2]}AA",
        f"{header}.{claims}.{signature}=",
        f"{header}.{claims}.{signature}==",
        f"{header}.{claims}.{signature}A",
        f"{header}.{claims}",
        f"{header}..{signature}",
        f"{header}.{claims}.{signature}.{signature}",
        f" {text}",
        f"{text}\n",
        f"{text}\x00",
        text.replace(".", "\u2024"),
        f"{text}\ud800",
        f"{b64('[]')}.{claims}.{signature}",
        f"{b64('{')}.{claims}.{signature}",
        f"{b64('[' * 900)}.{claims}.{signature}",
        f"{header}.{b64('[1]')}.{signature}",
    ):
        refused(house, changed)


def test_a_der_signature_is_none_of_a_token(house: House) -> None:
    message = unsigned()
    raw = run(house.signer.sign(message.encode(), "1"))
    der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    refused(house, f"{message}.{b64(der)}")


def test_a_long_token_is_not_even_read(house: House) -> None:
    text = run(house.forged(padding="x" * 2000))
    assert len(text) > 2048
    refused(house, text)
    refused(house, "x" * 10_000_000)
    assert house.signer.readings == 0


@given(st.text(max_size=300))
def test_any_text_is_refused_without_a_question_to_vault(text: str) -> None:
    house = House()
    refused(house, text)
    assert house.signer.readings == 0


def test_a_key_of_another_curve_does_not_verify(house: House) -> None:
    """Should one ever be among the keys."""

    class Odd(LocalSigner):
        async def public_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
            return {"1": self.odd.public_key()}

        odd = ec.generate_private_key(ec.SECP256K1())

    message = unsigned()
    r, s = utils.decode_dss_signature(Odd.odd.sign(message.encode(), ec.ECDSA(SHA256())))
    house.signer = Odd()
    refused(house, f"{message}.{b64(r.to_bytes(32) + s.to_bytes(32))}")


def test_every_role_and_any_tenant_can_have_one(house: House) -> None:
    async def work() -> None:
        tokens = house.tokens()
        for role in ("viewer", "member", "admin", "owner"):
            tenant = uuid.uuid4()
            token = await tokens.issue(tenant_id=tenant, tenant_slug="a-" * 31 + "a", user_id=USER, role=role)
            found = await tokens.verify(token.value.reveal())
            assert (found.tenant_id, found.role) == (tenant, role)

    run(work())
