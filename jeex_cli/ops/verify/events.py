"""Streams of events: who listens as one tenant hears of that tenant's rows, and of nobody else's."""

from __future__ import annotations

import http.client
import time

from jeex_cli.ops.verify import requests
from jeex_cli.ops.verify.arena import Arena

_PATIENCE = 10.0  # seconds for an event
_CLOSE = "tell each listener of its own tenant's changes alone (service/services/job_feed.py)"


def attack(arena: Arena) -> None:
    """Listen while something happens to the victim, then to oneself: the second must be heard, the first not."""
    api, attacker, victim, evidence = arena.api, arena.attacker, arena.victim, arena.evidence
    for path in requests.event_streams(arena.document):
        what = f"GET {path} while something happens to the other"
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=_PATIENCE)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {attacker.token}"})
            response = connection.getresponse()
            theirs = api.made(f"/api/v1/projects/{victim.ids['project'][0]}/export", victim.key)["id"]
            victim.ids["job"].append(theirs)
            own = api.made(f"/api/v1/projects/{attacker.ids['project'][0]}/export", attacker.key)["id"]
            heard = _until(response, own)
        finally:
            connection.close()
        shown = victim.shown_in(heard)
        if shown:
            evidence.hole("api", what, f"GET {path} tells one tenant of another's jobs: {shown}", _CLOSE)
        elif own not in heard:
            evidence.untried("api", what, f"it did not even tell of one's own within {_PATIENCE:g} s")
        else:
            evidence.refused("api", what, "one's own was told, the other's not")


def _until(response: http.client.HTTPResponse, wanted: str) -> str:
    """What was sent until something tells of `wanted`, or for as long as patience lasts."""
    ends, heard = time.monotonic() + _PATIENCE, ""
    while wanted not in heard and time.monotonic() < ends:
        try:
            part = response.read1(65_536)
        except TimeoutError:
            break
        if not part:
            break
        heard += part.decode("utf-8", "replace")
    return heard
