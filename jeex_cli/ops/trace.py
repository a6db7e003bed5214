"""What one request, or one job, did where: everything that was logged about it, by whoever did it, in the order of time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from jeex_cli.errors import JeexError, UsageError
from jeex_cli.log_entry import Entry
from jeex_cli.session import Session

_ID = re.compile(r"[A-Za-z0-9._-]{4,128}")
_KINDS = ("trace", "request", "job")
_TRACES = 20  # of one request id at most: whoever sends requests chooses those, and may do so for all of them alike
_CANDIDATES = 8  # that are named where a prefix is that of many


@dataclass(frozen=True, slots=True)
class Span:
    """One entry within a timeline: `offset` seconds after its beginning, for `seconds` where it says how long."""

    offset: float
    seconds: float | None
    entry: Entry


@dataclass(frozen=True, slots=True)
class Timeline:
    """`kind` is what `id` turned out to be: trace, request or job. `began` in seconds since the epoch."""

    id: str
    kind: str
    trace_ids: tuple[str, ...]
    request_ids: tuple[str, ...]
    job_ids: tuple[str, ...]
    began: float
    seconds: float
    spans: tuple[Span, ...]


def trace(session: Session, text: str) -> Timeline:
    """The timeline of that trace, request or job; its first characters will do where they are of one alone.

    Raises UsageError for what is no id (TRACE_ID_INVALID) or is that of several (TRACE_AMBIGUOUS), JeexError where no log
    knows it (TRACE_UNKNOWN).
    """
    if not _ID.fullmatch(text):
        raise UsageError(
            f"{text!r} is no id of a trace, a request or a job: four letters or digits at least",
            code="TRACE_ID_INVALID",
            hint="every answer of the API has one in its header X-Request-ID; jeex logs api shows others",
        )
    found = [one for one in _mentions(session, text) if any(id.startswith(text) for id in one.ids)]
    kind, whole = _meant(text, found)
    ours = [one for one in found if one.ids[_KINDS.index(kind)] == whole]
    traces = sorted({one.trace_id for one in ours if one.trace_id})
    for other in traces[:_TRACES]:
        if other != text:
            ours += [one for one in _mentions(session, other) if one.trace_id == other]
    return _timeline(whole, kind, _unique(ours))


def _mentions(session: Session, text: str) -> Iterable[Entry]:
    return session.runtime.mentions(session.stack, text)


def _meant(text: str, found: Iterable[Entry]) -> tuple[str, str]:
    """Which id `text` is, or begins, and of what kind."""
    ids = {(kind, id) for one in found for kind, id in zip(_KINDS, one.ids, strict=True) if id.startswith(text)}
    if not ids:
        raise JeexError(
            f"no log knows {text}",
            code="TRACE_UNKNOWN",
            detail="Logs are bounded: what is old is gone. Requests are logged when they have been answered.",
            hint="jeex logs api --tail 20 shows the last ones with their ids",
        )
    chosen = sorted(one for one in ids if one[1] == text) or sorted(ids)
    if len({id for _, id in chosen}) > 1:
        names = [f"{kind} {id}" for kind, id in chosen]
        more = [f"and {len(names) - _CANDIDATES} more"] if len(names) > _CANDIDATES else []
        raise UsageError(
            f"{text} begins {len(names)} ids",
            code="TRACE_AMBIGUOUS",
            detail="\n".join([*names[:_CANDIDATES], *more]),
            hint=f"jeex trace {chosen[0][1]}",
        )
    kinds = [kind for kind, _ in chosen]
    return ("trace" if "trace" in kinds else kinds[0]), chosen[0][1]


def _unique(entries: Iterable[Entry]) -> list[Entry]:
    return list({(one.service, one.at, one.text): one for one in entries}.values())


def _timeline(whole: str, kind: str, entries: list[Entry]) -> Timeline:
    entries = [one for one in _answered(entries) if one.at] or entries
    starts = [one.at - (one.seconds or 0.0) for one in entries]
    began, ended = min(starts), max(one.at for one in entries)
    spans = [Span(max(0.0, start - began), one.seconds, one) for start, one in zip(starts, entries, strict=True)]
    # What takes longer comes before what happens within it.
    spans.sort(key=lambda one: (one.offset, -(one.seconds or 0.0), one.entry.at))
    traces, requests, jobs = (tuple(sorted({one.ids[number] for one in entries} - {""})) for number in range(3))
    return Timeline(whole, kind, traces, requests, jobs, began, ended - began, tuple(spans))


def _answered(entries: list[Entry]) -> list[Entry]:
    """Of Vault, which logs what it is asked and what it answers, one entry with the time between the two."""
    asked = {one.fields["vault_request"]: one for one in entries if one.fields.get("type") == "request"}
    answers = {one.fields["vault_request"] for one in entries if one.fields.get("type") == "response"}
    found = []
    for one in entries:
        number = one.fields.get("vault_request")
        if number is None or number not in asked or number not in answers:
            found.append(one)
        elif one.fields.get("type") == "response":
            found.append(replace(one, seconds=max(0.0, one.at - asked[number].at)))
    return found
