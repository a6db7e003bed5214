"""HTTP to this machine's own servers, past every proxy that the environment names."""

from __future__ import annotations

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
    try:
        with _OPENER.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=timeout) as response:  # noqa: S310 - ours
            return Answer(response.status, {name.lower(): text for name, text in response.headers.items()}, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {name.lower(): text for name, text in error.headers.items()}, error.read())
