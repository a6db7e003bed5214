"""The OpenAPI document is whole: whoever reads it, person or program, misses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from service.api.problems import MEDIA_TYPE
from tests.integration.service.machine import request
from tests.integration.service.processes import Service

_OPEN = {"health", "ready", "jwks", "sign_in", "system_status"}  # asked without a credential


@pytest.fixture(scope="module")
def document(shared_api: Service) -> dict[str, Any]:
    status, body, _ = request("GET", f"http://127.0.0.1:{shared_api.port}/openapi.json")
    assert status == 200
    found: dict[str, Any] = body
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_does_and_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for where, operation in operations(document):
        assert operation["summary"] and operation["tags"], where
        assert operation["operationId"].isidentifier(), where


def test_every_operation_but_the_open_ones_asks_for_a_credential(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        assert bool(operation.get("security")) == (operation["operationId"] not in _OPEN), where
        for scheme in operation.get("security", ()):
            assert scheme.keys() <= document["components"]["securitySchemes"].keys(), where


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        if operation.get("security"):
            assert errors.keys() >= {"400", "401", "403", "414", "429", "431", "503"}, where
        for status, answer in errors.items():
            if "content" not in answer:
                assert operation["operationId"] == "ready", where
                continue
            assert list(answer["content"]) == [MEDIA_TYPE], (where, status)
            assert valid(document, answer["content"][MEDIA_TYPE]["schema"], answer["content"][MEDIA_TYPE]["example"])


def test_every_body_and_answer_has_a_schema_and_what_is_sent_an_example(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status in ("200", "201", "202"):
                assert all(content["schema"] for content in answer["content"].values()), where
        for sent in operation.get("requestBody", {}).get("content", {}).values():
            name = sent["schema"]["$ref"].rpartition("/")[2]
            examples = document["components"]["schemas"][name]["examples"]
            assert examples and all(valid(document, sent["schema"], one) for one in examples), where
        for parameter in operation.get("parameters", ()):
            for one in parameter["schema"].get("examples", ()):
                assert valid(document, parameter["schema"], one), (where, parameter["name"])


def valid(document: dict[str, Any], schema: dict[str, Any], value: object) -> bool:
    """Whether `value` is what `schema` says; raises what is wrong."""
    jsonschema_rs.validate({**schema, "components": document["components"]}, value)
    return True
