"""The API, attacked with the other tenant's ids: every route of its own document, so a new one is attacked by itself.

Each attack is made once more with an id that nobody has. The two must be answered alike: what is another's and what is not
there look the same. What is refused before an id is looked at is no refusal, and counts as untried.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jeex_cli.errors import Unhealthy
from jeex_cli.ops.verify import requests
from jeex_cli.ops.verify.arena import Arena
from jeex_cli.ops.verify.http import Answer, Api
from jeex_cli.ops.verify.requests import Place

_REFUSALS = (401, 403, 404, 405)
_MALFORMED = (400, 415, 422, 428)
_ANYTHING = {"If-Match": "*"}
_CLOSE = (
    "read and write tenants' rows in the caller's transaction (parts.database.direct(caller.tenant_id)) through a "
    "Repository, which names the tenant; row security should have held it, so run: jeex doctor"
)
_NAMING = ("X-Tenant", "X-Tenant-ID", "Tenant", "Tenant-ID", "X-Forwarded-Tenant", "X-Org-ID", "X-User-ID", "X-Jeex-Tenant")


def document(api: Api) -> Mapping[str, Any]:
    """The OpenAPI document of the running API. Raises Unhealthy."""
    found = api.ask("GET", "/openapi.json")
    if found.status != 200 or not isinstance(found.json, dict):
        raise Unhealthy(f"the API has no OpenAPI document: it answers {found.said}", hint="jeex logs api")
    said: Mapping[str, Any] = found.json
    return said


def attack(arena: Arena) -> None:
    """Every attack of the attacker on the victim, with its key and with its token."""
    attacker, victim = arena.attacker, arena.victim
    for place in requests.places(arena.document, (*victim.ids, "tenant")):
        foreign = victim.ids.get(place.kind, [str(victim.tenant_id)])[0]
        _one(arena, place, foreign, f"{place.said}, by token", attacker.token)
        if place.declared:
            _one(arena, place, foreign, f"{place.said}, by key", attacker.key)
    _naming(arena)


def _one(arena: Arena, place: Place, foreign: str, what: str, credential: str) -> None:
    mine = {kind: ids[0] for kind, ids in arena.attacker.ids.items() if ids}

    def asked(row_id: str, body: Any) -> Answer:
        given = {**body, place.name: row_id} if place.where == "body" else body
        return arena.api.ask(place.method, requests.filled(place, row_id, mine), credential, given, _ANYTHING)

    nobody = f"{foreign[:-6]}{secrets.token_hex(3)}"  # of the same age, so that it has the same place in an order of ids
    control = answer = None
    for body in place.bodies:
        control = asked(nobody, body)
        if control.status not in _MALFORMED:
            answer = asked(foreign, body)
            if not answer.alike(control):  # what one has oneself may have changed in between: a key was used, a job ended
                control, answer = asked(nobody, body), asked(foreign, body)
            break
    if control is None or answer is None:
        said = control.said if control else "nothing"
        arena.evidence.untried("api", what, f"no body that the route takes: it answers {said}")
    else:
        judge(arena, place, what, answer, control)


def judge(arena: Arena, place: Place, what: str, answer: Answer, control: Answer) -> None:
    """What `answer`, about a row of the victim's, says; `control` is what is said of a row that nobody has."""
    evidence, victim = arena.evidence, arena.victim
    foreign = victim.ids.get(place.kind, [str(victim.tenant_id)])[0]
    route = f"{place.method} {place.path}"
    if shown := victim.shown_in(answer.text, but=(foreign,)):
        evidence.hole("api", what, f"{route} shows another tenant's {place.kind}: {shown}", _CLOSE)
    elif answer.status >= 500 or answer.status == 429:
        evidence.untried("api", what, f"the API answers {answer.said}, which is no refusal of this")
    elif answer.status < 300 and (place.method not in requests.SAFE or control.status >= 300):
        evidence.hole("api", what, f"{route} takes another tenant's {place.kind}: {answer.said}", _CLOSE)
    elif not answer.alike(control):
        evidence.hole(
            "api",
            what,
            f"{route} tells another tenant's {place.kind} ({answer.said}) from none ({control.said})",
            "answer NotFound for both: look for the row under the caller's tenant before anything else",
        )
    elif answer.status < 300:
        evidence.refused("api", what, f"{answer.said}, and nothing of the other's in it")
    elif answer.status in _REFUSALS:
        evidence.refused("api", what, answer.said)
    else:
        evidence.untried("api", what, f"the API answers {answer.said}, which is no refusal of this")


def _naming(arena: Arena) -> None:
    """A tenant named in headers, in the query, in a body: nothing but the credential says whose rows it is about."""
    evidence, victim = arena.evidence, arena.victim
    for path, what, ask in _named(arena):
        answer = ask()
        shown = victim.shown_in(answer.text, but=(str(victim.tenant_id), victim.slug))
        close = "take the tenant from the verified credential alone: caller.tenant_id (service/api/dependencies.py)"
        if shown:
            evidence.hole("api", what, f"{path} goes by a tenant that the request names: it shows {shown}", close)
        elif answer.status in (200, 201, 202, 204, *_REFUSALS):
            evidence.refused("api", what, f"{answer.said}, and nothing of the other's in it")
        elif answer.status in (400, 422) and any(one in answer.body for one in (b"tenant", b"query")):
            evidence.refused("api", what, f"{answer.said}: it knows no such field")
        else:
            evidence.untried("api", what, f"the API answers {answer.said}, which is no refusal of this")


def _named(arena: Arena) -> Iterator[tuple[str, str, Callable[[], Answer]]]:
    api, said, victim = arena.api, arena.document, arena.victim
    other, key = str(victim.tenant_id), arena.attacker.token
    for path, _ in requests.lists(said):
        for value in (other, victim.slug):
            headers = dict.fromkeys(_NAMING, value)
            yield (
                f"GET {path}",
                f"GET {path} with headers that name the other ({'slug' if value == victim.slug else 'id'})",
                lambda path=path, headers=headers: api.ask("GET", path, key, None, headers),  # type: ignore[misc]
            )
        for name in ("tenant", "tenant_id"):
            yield (
                f"GET {path}",
                f"GET {path}?{name}= that names the other",
                lambda path=path, name=name: api.ask("GET", f"{path}?{name}={other}", key),  # type: ignore[misc]
            )
    for path, bodies in requests.makers(said):
        yield (
            f"POST {path}",
            f"POST {path} with a tenant_id of the other's in the body",
            lambda path=path, body=bodies[0]: api.ask("POST", path, key, {**body, "tenant_id": other}),  # type: ignore[misc]
        )
