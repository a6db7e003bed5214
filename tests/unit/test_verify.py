"""What `jeex tenant verify` makes of an OpenAPI document, and of answers. Nothing is asked."""

from __future__ import annotations

from typing import Any

import pytest

from jeex_cli.errors import JeexError, PartialFailure
from jeex_cli.ops import verify
from jeex_cli.ops.verify import requests
from jeex_cli.ops.verify.evidence import Evidence
from jeex_cli.ops.verify.http import Answer

KINDS = ("project", "user", "tenant")


def parameter(name: str, where: str, form: str = "uuid") -> dict[str, Any]:
    return {"name": name, "in": where, "schema": {"type": "string", "format": form}}


def document(**paths: Any) -> dict[str, Any]:
    """Of those paths; `_` is a slash."""
    return {"paths": {f"/{name.replace('_', '/')}": one for name, one in paths.items()}, "components": {"schemas": SCHEMAS}}


SCHEMAS = {
    "New": {
        "type": "object",
        "required": ["title", "project_id"],
        "properties": {
            "title": {"type": "string"},
            "project_id": {"$ref": "#/components/schemas/Id"},
            "level": {"enum": ["low", "high"]},
        },
    },
    "Id": {"type": "string", "format": "uuid"},
}
BODY = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}}


def said(found: dict[str, Any]) -> set[str]:
    return {place.said for place in requests.places(found, KINDS)}


def test_a_new_route_is_attacked_by_itself() -> None:
    found = document(notes={"post": {"requestBody": BODY}, "get": {"parameters": [parameter("project_id", "query")]}})
    assert said(found) == {
        "POST /notes with the other's project in the body",
        "GET /notes with the other's project in the query",
    }
    place = next(one for one in requests.places(found, KINDS) if one.where == "body")
    assert {"title", "project_id", "level"} in [set(body) for body in place.bodies]


def test_methods_that_a_path_does_not_have_are_tried_as_well() -> None:
    item = {"get": {"parameters": [parameter("user_id", "path")]}}
    assert said({"paths": {"/users/{user_id}": item}}) == {
        f"{method} /users/{{user_id}} with the other's user in the path" for method in requests.METHODS
    }


def test_an_id_of_an_unknown_kind_is_tried_with_every_kind() -> None:
    found = {"paths": {"/things/{thing}": {"get": {"parameters": [parameter("thing", "path")]}}}}
    tried = {place.kind for place in requests.places(found, KINDS) if place.method == "GET"}
    assert tried == set(KINDS)


def test_what_is_no_id_is_left_alone() -> None:
    assert said(document(list={"get": {"parameters": [parameter("limit", "query", "int32")]}})) == set()


def test_answers_are_alike_but_for_what_names_the_request() -> None:
    def problem(code: str, request: str) -> Answer:
        return Answer(404, {}, f'{{"code": "{code}", "request_id": "{request}"}}'.encode())

    assert problem("A", "1").alike(problem("A", "2"))
    assert not problem("A", "1").alike(problem("B", "1"))
    assert not Answer(200, {}, b"x").alike(Answer(200, {}, b"y"))


def test_what_could_not_be_tried_is_no_refusal() -> None:
    evidence = Evidence()
    evidence.refused("api", "one", "404")

    def proof() -> verify.Proof:
        attacks = [
            {"area": one.area, "what": one.what, "outcome": one.outcome, "seen": one.seen, "close": one.close}
            for one in evidence.attacks
        ]
        return verify.Proof(evidence.tally(), attacks, 1.0, 0)

    verify.judge(proof())
    evidence.untried("vault", "two", "it is sealed")
    with pytest.raises(JeexError) as caught:
        verify.judge(proof())
    assert (caught.value.exit_code, caught.value.code) == (1, "PROOF_INCOMPLETE")
    evidence.hole("sql", "three", "everybody sees everything", "close it")
    with pytest.raises(PartialFailure) as found:
        verify.judge(proof())
    assert (found.value.exit_code, found.value.hint) == (7, "close it")
    assert found.value.message == "tenants are not kept apart: everybody sees everything"
    assert [one.untried for one in proof().areas if one.area == "vault"] == [1]
