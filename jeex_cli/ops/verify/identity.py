"""Credentials, forged: keys of one tenant for another, tokens not signed by us, tokens that say other than was signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from jeex_cli.ops.verify.arena import Arena
from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.http import Api

_WHOAMI = "/api/v1/whoami"
_CLOSE = "verify every credential in service/services/tokens.py and authentication.py: signature, algorithm, kid, issuer"


def attack(arena: Arena) -> None:
    """Each forged credential asks who it is, and for the victim's project. Only what was made for one may let one in."""
    api, attacker, victim, evidence = arena.api, arena.attacker, arena.victim, arena.evidence
    proof = api.ask("GET", _WHOAMI, attacker.token)
    if proof.status != 200:
        evidence.untried("api", "forged credentials", f"the real token is refused, too: {proof.said}")
        return
    _password(arena)
    _idempotency(arena)
    for what, credential in _forged(api, attacker, victim):
        for path in (_WHOAMI, f"/api/v1/projects/{victim.ids['project'][0]}"):
            answer = api.ask("GET", path, credential)
            asked = f"GET {path.replace(victim.ids['project'][0], '{project_id}')} with {what}"
            if answer.status == 401:
                evidence.refused("api", asked, answer.said)
            elif answer.status < 400 or answer.status in (403, 404):  # whoever gets there was taken for somebody
                evidence.hole("api", asked, f"the API takes {what} for a credential: it answers {answer.said}", _CLOSE)
            else:
                evidence.untried("api", asked, f"the API answers {answer.said}, which is no refusal of this")


def _password(arena: Arena) -> None:
    """One's own address and password, at the other's door."""
    api, attacker, evidence = arena.api, arena.attacker, arena.evidence
    what, password = "POST /api/v1/sign-in at the other's, with one's own password", secrets.token_urlsafe(24)
    about = api.ask("GET", f"/api/v1/users/{attacker.owner_id}", attacker.key).json or {}
    path = f"/api/v1/users/{attacker.owner_id}"
    changed = api.ask("PATCH", path, attacker.key, {"password": password}, {"If-Match": "*"})
    person = {"email": about.get("email"), "password": password}
    own = api.ask("POST", "/api/v1/sign-in", body={**person, "tenant": attacker.slug})
    other = api.ask("POST", "/api/v1/sign-in", body={**person, "tenant": arena.victim.slug})
    if own.code == "SIGN_IN_OFF" and other.code == own.code:
        evidence.refused("api", what, "nobody signs in with a password here")
    elif own.status != 201:
        evidence.untried("api", what, f"it is not even taken at one's own: {changed.said}, {own.said}")
    elif other.status == 401:
        evidence.refused("api", what, other.said)
    elif other.status < 300:
        hole = "POST /api/v1/sign-in takes the password of one tenant's user at another tenant"
        evidence.hole("api", what, hole, "look the address up within the tenant that is named (service/services/sign_in.py)")
    else:
        evidence.untried("api", what, f"the API answers {other.said}, which is no refusal of this")


def _idempotency(arena: Arena) -> None:
    """The other's Idempotency-Key is one's own to use: it neither replays the other's answer nor tells of it."""
    what, body = (
        "POST /api/v1/projects with the other's Idempotency-Key",
        {"slug": f"x{secrets.token_hex(6)}", "name": "Own"},
    )
    key = f"canary-{arena.victim.tag}"
    answer = arena.api.ask("POST", "/api/v1/projects", arena.attacker.key, body, {"Idempotency-Key": key})
    shown = arena.victim.shown_in(answer.text, but=(key,))
    if answer.status == 201 and not shown:
        arena.evidence.refused("api", what, "201, a project of one's own")
    elif answer.status < 300 or answer.status in (409, 422):
        hole = f"an Idempotency-Key of one tenant's tells another of its request: {shown or answer.said}"
        arena.evidence.hole("api", what, hole, "keep answers by tenant (service/adapters/idempotency.py)")
    else:
        arena.evidence.untried("api", what, f"the API answers {answer.said}, which is no refusal of this")


def _forged(api: Api, attacker: Canary, victim: Canary) -> Iterator[tuple[str, str]]:
    _, own_tenant, own_key, own_secret = attacker.key.split("_")
    _, other_tenant, other_key, _ = victim.key.split("_")
    del own_tenant
    yield "one's own key under the other's tenant", f"jx_{other_tenant}_{own_key}_{own_secret}"
    yield "one's own secret in the other's key", f"jx_{other_tenant}_{other_key}_{own_secret}"
    yield "one's own secret under a tenant of nobody's", f"jx_{uuid.uuid4().hex}_{own_key}_{own_secret}"
    yield from _tokens(api, attacker, victim)


def _tokens(api: Api, attacker: Canary, victim: Canary) -> Iterator[tuple[str, str]]:
    import jwt
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    head, claims, signature = attacker.token.split(".")
    header, said = _read(head), _read(claims)
    other = {**said, "tid": str(victim.tenant_id), "tslug": victim.slug, "sub": victim.owner_id}
    yield "a token whose tenant was changed after it was signed", f"{head}.{_written(other)}.{signature}"
    yield "a token without a signature", f"{_written({**header, 'alg': 'none'})}.{_written(other)}."
    yield (
        "a token that keeps a signature and asks for alg none",
        f"{_written({**header, 'alg': 'none'})}.{claims}.{signature}",
    )
    mine = ec.generate_private_key(ec.SECP256R1())
    kid = str(header["kid"])
    yield "a token signed with a key of one's own", _signed(jwt, other, mine, {**header})
    yield "a token of a key that nobody has published", _signed(jwt, other, mine, {**header, "kid": "999999"})
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key()))
    yield "a token that brings its key along", _signed(jwt, other, mine, {**header, "jwk": {**public, "kid": kid}})
    found = api.ask("GET", "/.well-known/jwks.json").json or {}
    published = next((one for one in found.get("keys", ()) if one["kid"] == kid), public)
    point = jwt.algorithms.ECAlgorithm.from_jwk(json.dumps(published))
    text = point.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[union-attr]
    yield "a token signed with the public key as a password", _with_password(other, text, {**header, "alg": "HS256"})


def _signed(jwt: Any, claims: Mapping[str, Any], key: Any, header: Mapping[str, Any]) -> str:
    return str(jwt.encode(dict(claims), key, algorithm="ES256", headers=dict(header)))


def _with_password(claims: Mapping[str, Any], password: bytes, header: Mapping[str, Any]) -> str:
    """By hand: the library knows a public key when it sees one, and refuses."""
    message = f"{_written(header)}.{_written(claims)}"
    return f"{message}.{_encoded(hmac.new(password, message.encode(), hashlib.sha256).digest())}"


def _read(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _written(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
