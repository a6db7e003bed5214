"""HTTP to this machine's own servers, past every proxy that the environment names."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has said, whatever its status. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(url: str, *, timeout: float, headers: Mapping[str, str] | None = None) -> Answer:
    """Raises OSError (urllib's URLError among them) where nobody answers within `timeout` seconds."""
    return _ask(urllib.request.Request(url, headers=dict(headers or {})), timeout)  # noqa: S310 - ours


def post(url: str, data: object, *, timeout: float) -> Answer:
    """Sends `data` as JSON. Raises as `get`."""
    body, kind = json.dumps(data).encode(), {"Content-Type": "application/json"}
    return _ask(urllib.request.Request(url, data=body, headers=kind, method="POST"), timeout)  # noqa: S310 - ours


def _ask(request: urllib.request.Request, timeout: float) -> Answer:
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            return Answer(response.status, {name.lower(): text for name, text in response.headers.items()}, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {name.lower(): text for name, text in error.headers.items()}, error.read())
