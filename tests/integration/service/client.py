"""The API as its users call it: JSON in, JSON out, one credential."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.services.tenants import NewTenant
from tests.integration.service.machine import request
from tests.integration.service.processes import Service

PROBLEM = "application/problem+json"
_numbers = itertools.count()


@dataclass(frozen=True)
class Answer:
    """What came back. `headers` have lower-case names."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and problem code, "" for a success."""
        code = self.body.get("code", "") if isinstance(self.body, dict) else ""
        if self.status >= 400:
            assert self.headers["content-type"] == PROBLEM, self.body
        return self.status, code if self.status >= 400 else ""


@dataclass(frozen=True)
class Client:
    """Requests to one API with one credential."""

    service: Service
    credential: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`path` below /api/v1; underscores in header names become hyphens."""
        sent = {"Authorization": f"Bearer {self.credential}", **self.extra}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return Answer(*request(method, f"http://127.0.0.1:{self.service.port}/api/v1{path}", body, sent))

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: object, if_match: str = "*", **headers: str) -> Answer:
        return self.ask("PATCH", path, body, If_Match=if_match, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.ask("DELETE", path, **headers)

    def made(self, path: str, /, **body: object) -> dict[str, Any]:
        """POST that must succeed; the body of the answer."""
        answer = self.post(path, body)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.body
        return found

    def everything(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page after page."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            more = f"{'&' if '?' in path else '?'}cursor={cursor}" if cursor else ""
            answer = self.get(path + more)
            assert answer.status == 200, answer.body
            items += answer.body["items"]
            cursor = answer.body["next_cursor"]
            if cursor is None:
                return items


@dataclass(frozen=True)
class House:
    """A tenant of a test's own on an API that others use too."""

    made: NewTenant
    owner: Client

    def member(self, role: str) -> Client:
        """A client with a key of a new user of that role."""
        number = next(_numbers)
        user = self.owner.made("/users", email=f"{role}{number}@x.example", display_name=role, role=role)
        key = self.owner.made("/keys", name="test", user_id=user["id"])["key"]
        return Client(self.owner.service, key)
