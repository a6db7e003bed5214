"""Tokens and passwords over HTTP, with a real Vault behind them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.adapters.vault import Vault
from service.adapters.vault_keys import VaultKeys
from service.adapters.vault_session import Handover
from tests.integration.service.client import Client, House
from tests.integration.service.conftest import ADMIN_KEY, make_tenant
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres

REFUSED = (401, "UNAUTHENTICATED")
PASSWORD = "correct horse battery staple"


@pytest.fixture
def vault(openbao: OpenBao, tmp_path: Path) -> OpenBao:
    """A vault with the key that signs tokens."""
    seed = Service("seed", openbao.seed_settings(), tmp_path / "seed.log")
    assert seed.run() == 0, seed.log.read_text()
    return openbao


@pytest.fixture
def start(postgres: Postgres, database: str, vault: OpenBao, tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """Starts an API that knows the vault."""
    started: list[Service] = []

    def one() -> Service:
        settings = {
            "DATABASE_URL": postgres.place(database),
            "DATABASE_ADMIN_URL": postgres.place(database),
            "ADMIN_KEY": ADMIN_KEY,
            "API_PORT": str(free_port()),
            **vault.settings(),
        }
        service = Service("api", settings, tmp_path / f"api-{len(started)}.log")
        started.append(service)
        service.start()
        service.wait("/ready")
        return service

    yield one
    for service in started:
        service.stop()


@pytest.fixture
def home(start: Callable[[], Service], postgres: Postgres, database: str) -> House:
    """A tenant on an API that knows the vault."""
    made = make_tenant(postgres.url("admin", database))
    return House(made, Client(start(), made.key.reveal()))


def token_of(client: Client) -> Client:
    """The same caller with a token in place of the key."""
    answer = client.post("/tokens")
    assert answer.status == 201, answer.body
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 600)
    return Client(client.service, answer.body["access_token"])


def test_a_token_is_its_user_for_ten_minutes_and_gets_no_further_token(home: House) -> None:
    viewer = token_of(home.member("viewer"))
    whoami = viewer.get("/whoami").body
    assert (whoami["tenant"]["id"], whoami["user"]["role"], whoami["key_id"]) == (str(home.made.tenant.id), "viewer", None)
    assert viewer.post("/projects", {"slug": "p", "name": "P"}).outcome == (403, "ROLE_REQUIRED")
    assert token_of(home.owner).made("/projects", slug="p", name="P")["created_by"] == str(home.made.owner.id)
    assert viewer.post("/tokens").outcome == (403, "KEY_REQUIRED")
    claims = jwt.decode(viewer.credential, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 600


def test_anybody_can_check_a_token_with_the_published_keys(home: House) -> None:
    token = token_of(home.owner).credential
    status, body, headers = home.owner.service.get("/.well-known/jwks.json")
    assert (status, headers["cache-control"]) == (200, "public, max-age=60")
    key = jwt.PyJWKSet.from_dict(body)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="jeex-api", issuer="jeex")
    assert claims["tid"] == str(home.made.tenant.id)


def test_no_forged_token_gets_in(home: House, vault: OpenBao) -> None:
    good = token_of(home.owner).credential
    header, claims, signature = good.split(".")
    told = jwt.decode(good, options={"verify_signature": False})
    jwks = jwt.PyJWKSet.from_dict(home.owner.service.get("/.well-known/jwks.json")[1])
    pem = jwks.keys[0].key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing = Vault(vault.address)
    Handover("jeex-api", vault.hand_over()).sign_in(signing)
    signer = VaultKeys(signing)

    def signed(head: dict[str, Any], **changed: object) -> str:
        """Signed by the right key all the same."""
        kept = {name: value for name, value in {**told, **changed}.items() if value is not None}
        message = b".".join(part(one) for one in ({"typ": "at+jwt", "kid": "1", "alg": "ES256", **head}, kept))
        return (message + b"." + base64.urlsafe_b64encode(signer.sign("jwt", 1, message)).rstrip(b"=")).decode()

    other = make_other_claims(told)
    now = int(time.time())
    forged = {
        "no algorithm": f"{text({'alg': 'none', 'typ': 'at+jwt'})}.{claims}.",
        "no algorithm, with a kid": f"{text({'alg': 'none', 'kid': '1'})}.{claims}.{signature}",
        "HS256 with the public key": _hs256(told, pem),
        "another tenant's claims under a good signature": f"{header}.{text(other)}.{signature}",
        "no signature": f"{header}.{claims}.",
        "wrong audience": signed({}, aud="somebody-else"),
        "wrong issuer": signed({}, iss="somebody-else"),
        "expired": signed({}, iat=now - 1000, nbf=now - 1000, exp=now - 400),
        "not yet valid": signed({}, nbf=now + 300),
        "without an end": signed({}, exp=None),
        "without a tenant": signed({}, tid=None),
        "a tenant that is none": signed({}, tid="acme"),
        "a role that is none": signed({}, role="god"),
        "unknown key": signed({"kid": "7"}),
        "no kid": signed({"kid": None}),
        "ES384 in name": signed({"alg": "ES384"}),
        "junk": "a.b.c",
        "long": "a" * 10_000,
    }
    assert Client(home.owner.service, signed({})).get("/whoami").status == 200  # the forger's tools work
    got = {name: Client(home.owner.service, token).get("/whoami").outcome for name, token in forged.items()}
    signing.close()
    assert got == dict.fromkeys(forged, REFUSED)


def test_a_retired_key_proves_nothing(home: House, start: Callable[[], Service], vault: OpenBao) -> None:
    old = token_of(home.owner)
    operator = vault.sign_in()
    assert vault.call("POST", "transit/keys/jwt/rotate", {}, token=operator)[0] in (200, 204)
    overlap = Client(start(), old.credential)
    assert overlap.get("/whoami").status == 200  # a new key does not end the old one
    assert len(overlap.service.get("/.well-known/jwks.json")[1]["keys"]) == 2
    status, _ = vault.call(
        "POST", "transit/keys/jwt/config", {"min_decryption_version": 2, "min_encryption_version": 2}, token=operator
    )
    assert status in (200, 204)
    assert Client(start(), old.credential).get("/whoami").outcome == REFUSED


def test_what_a_token_says_must_still_be_so(home: House) -> None:
    client = home.member("admin")
    user = client.get("/whoami").body["user"]["id"]
    demoted, removed = token_of(client), token_of(client)
    home.owner.patch(f"/users/{user}", {"role": "viewer"})
    assert demoted.get("/whoami").outcome == REFUSED
    home.owner.delete(f"/users/{user}")
    assert removed.get("/whoami").outcome == REFUSED


def test_without_vault_tokens_hold_and_keys_do_and_none_is_made(home: House, vault: OpenBao) -> None:
    token = token_of(home.owner)
    assert token.get("/whoami").status == 200
    vault.stop()
    assert token.get("/whoami").status == 200
    assert home.owner.get("/whoami").status == 200
    answer = home.owner.post("/tokens")
    assert answer.outcome[0] == 503
    assert int(answer.headers["retry-after"]) >= 1
    vault.start()
    until(lambda: home.owner.post("/tokens").status == 201)


def test_people_sign_in_with_a_password(home: House) -> None:
    tenant, email, me = home.made.tenant.slug, home.made.owner.email, str(home.made.owner.id)
    nobody = Client(home.owner.service, "")
    assert sign_in(nobody, tenant, email, PASSWORD) == REFUSED  # there is none yet
    for weak in ("short", "x" * 300, "with\ttab in it"):
        assert home.owner.patch(f"/users/{me}", {"password": weak}).outcome[0] == 422
    assert home.owner.patch(f"/users/{me}", {"password": PASSWORD}).body["has_password"] is True
    answer = nobody.post("/sign-in", {"tenant": tenant, "email": email.upper(), "password": PASSWORD})
    assert Client(home.owner.service, answer.body["access_token"]).get("/whoami").body["user"]["id"] == me
    said = {
        json.dumps({**nobody.post("/sign-in", body).body, "request_id": ""})
        for body in (
            {"tenant": tenant, "email": email, "password": "wrong"},
            {"tenant": tenant, "email": "nobody@x.example", "password": PASSWORD},
            {"tenant": "nowhere", "email": email, "password": PASSWORD},
        )
    }
    assert len(said) == 1  # nothing tells which of the three was wrong
    assert PASSWORD not in home.owner.service.log.read_text()
    assert home.owner.patch(f"/users/{me}", {"password": None}).body["has_password"] is False
    assert sign_in(nobody, tenant, email, PASSWORD) == REFUSED


def test_guessing_is_slowed_down(home: House) -> None:
    nobody = Client(home.owner.service, "")
    # Ten at once; then one each six seconds, which a slow machine may take for a guess or two.
    outcomes = [sign_in(nobody, "acme", "bob@acme.example", f"guess {number}") for number in range(20)]
    assert outcomes[:10] == [REFUSED] * 10
    assert (429, "RATE_LIMITED") in outcomes
    assert sign_in(nobody, "acme", "eve@acme.example", "guess") == REFUSED  # others are not held up


def sign_in(client: Client, tenant: str, email: str, password: str) -> tuple[int, str]:
    return client.post("/sign-in", {"tenant": tenant, "email": email, "password": password}).outcome


def part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def text(value: object) -> str:
    return part(value).decode()


def make_other_claims(claims: dict[str, Any]) -> dict[str, Any]:
    return {**claims, "tid": "01990000-0000-7000-8000-000000000000"}


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    """PyJWT refuses to sign with a public key, and is right: by hand."""
    import hashlib
    import hmac

    message = b".".join((part({"alg": "HS256", "typ": "at+jwt", "kid": "1"}), part(claims)))
    return (
        message + b"." + base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest()).rstrip(b"=")
    ).decode()
