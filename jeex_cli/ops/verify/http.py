"""The API, as one who has a credential asks it. A request that fails below HTTP raises: it is no refusal."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jeex_cli.errors import Unhealthy

_TIMEOUT = 10.0  # seconds for an answer
_PATIENCE = 5  # seconds that a limiter may have us wait, once


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str:
        """The problem's code, "" where it is none."""
        found = self.json
        return str(found.get("code", "")) if isinstance(found, dict) and self.status >= 400 else ""

    @property
    def said(self) -> str:
        """The answer in two words."""
        return f"{self.status} {self.code}".strip()

    @property
    def text(self) -> str:
        """Headers and body, for looking for what should not be there."""
        return "\n".join([*self.headers.values(), self.body.decode("utf-8", "replace")])

    def alike(self, other: Answer) -> bool:
        """Whether both say the same, but for what names the request itself."""
        return self.status == other.status and _general(self) == _general(other)


class Api:
    """One connection to the API's published port, kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        credential: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """What the API answers. Waits once where it says that it was asked too often. Raises OSError, HTTPException."""
        sent = {"Authorization": f"Bearer {credential}"} if credential else {}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        found = self._once(method, path, content, {**sent, **(headers or {})})
        wait = found.headers.get("retry-after", "")
        if found.status == 429 and wait.isdigit() and int(wait) <= _PATIENCE:
            time.sleep(int(wait))
            found = self._once(method, path, content, {**sent, **(headers or {})})
        return found

    def made(self, path: str, credential: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """What POST made. Raises Unhealthy where it made nothing: a canary that is not whole proves nothing."""
        found = self.ask("POST", path, credential, body, headers)
        if found.status not in (200, 201, 202):
            raise Unhealthy(
                f"the API does not do for a canary what it does for a tenant: POST {path} answered {found.said}",
                code="CANARY_REFUSED",
                hint="jeex status; jeex logs api",
            )
        return found.json

    def _once(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            return self._exchange(method, path, content, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()  # it was idle for too long, and closed at the other end
            return self._exchange(method, path, content, headers)
        except BaseException:
            self._connection.close()  # the answer may still come: it is not the next request's
            raise

    def _exchange(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, content, dict(headers))
        response = self._connection.getresponse()
        body = response.read()
        if response.getheader("connection", "") == "close":
            self._connection.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def _general(answer: Answer) -> object:
    found = answer.json
    if isinstance(found, dict) and answer.status >= 400:
        return {name: value for name, value in found.items() if name not in ("request_id", "instance", "trace_id")}
    return answer.body if found is None else found
