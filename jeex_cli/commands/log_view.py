"""How entries of logs look: a line each for people, an object each for programs. None can pass for another."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jeex_cli.log_entry import Entry, safe
from jeex_cli.ops.trace import Timeline
from jeex_cli.output import Output

_COLORS = ("36", "33", "35", "32", "34", "31")
_LEVELS = {"debug": ("debug", "2"), "info": ("info ", ""), "warning": ("warn ", "33"), "error": ("error", "31")}
_TRACE = 12  # characters of a trace's id, which is enough for `jeex trace`
_HIDDEN = ("process", "type", "vault_request", "application", "login", "pid")  # what lines for people go without


def as_data(entry: Entry) -> dict[str, Any]:
    """For programs. `text` is what was written, line for line."""
    return {
        "time": stamp(entry.at) if entry.at else None,
        "service": entry.service,
        "level": entry.level,
        "message": entry.message,
        "trace_id": entry.trace_id or None,
        "request_id": entry.request_id or None,
        "job_id": entry.job_id or None,
        "tenant": entry.tenant or None,
        "duration_ms": None if entry.seconds is None else round(entry.seconds * 1000, 3),
        "fields": dict(entry.fields),
        "text": entry.text,
    }


def lines(entry: Entry, output: Output, width: int) -> Iterator[str]:
    """For people: one line, and one for each further line of its message, which begins as no entry does."""
    name = output.paint(safe(entry.service).ljust(width), color_of(entry.service)) if output.stdout.isatty() else ""
    word, color = _LEVELS.get(entry.level, ("fatal", "31;1"))
    clock = stamp(entry.at)[11:23] if entry.at else " " * 12
    level = output.paint(word, color) if color else word
    yield f"{clock} {name or safe(entry.service).ljust(width)} | {level} {_said(entry)}"
    for more in entry.more:
        yield f"{' ' * 12} {' ' * width} : {safe(more)}"


def timeline(found: Timeline, output: Output) -> str:
    """A timeline for people."""
    width = max(len(one.entry.service) for one in found.spans)
    services = len({one.entry.service for one in found.spans})
    rows = [
        f"{found.kind} {safe(found.id)}, {stamp(found.began)}",
        *[
            f"  {name} {', '.join(safe(one) for one in ids)}"
            for name, ids in (("trace", found.trace_ids), ("request", found.request_ids), ("job", found.job_ids))
            if ids and ids != (found.id,)
        ],
        f"  {len(found.spans)} entries of {services} service{'s' if services > 1 else ''}, {_ms(found.seconds)}",
        "",
    ]
    for span in found.spans:
        entry = span.entry
        took = "" if span.seconds is None else _ms(span.seconds)
        name = output.paint(entry.service.ljust(width), color_of(entry.service)) if output.stdout.isatty() else ""
        rows.append(f"{_ms(span.offset):>12} {took:>12}  {name or entry.service.ljust(width)}  {_said(entry, ids=False)}")
        rows += [f"{' ' * (28 + width)}: {safe(more)}" for more in entry.more]
    return "\n".join(rows)


def timeline_data(found: Timeline) -> dict[str, Any]:
    """A timeline for programs."""
    return {
        "id": found.id,
        "kind": found.kind,
        "trace_ids": found.trace_ids,
        "request_ids": found.request_ids,
        "job_ids": found.job_ids,
        "began": stamp(found.began),
        "duration_ms": round(found.seconds * 1000, 3),
        "entries": [
            {
                **as_data(one.entry),
                "offset_ms": round(one.offset * 1000, 3),
                "duration_ms": None if one.seconds is None else round(one.seconds * 1000, 3),
            }
            for one in found.spans
        ],
    }


def stamp(at: float) -> str:
    """A time in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def color_of(service: str) -> str:
    """The same for the same service."""
    return _COLORS[zlib.crc32(service.encode()) % len(_COLORS)]


def _said(entry: Entry, *, ids: bool = True) -> str:
    words = [safe(entry.message)]
    words += [f"{safe(name)}={_value(one)}" for name, one in entry.fields.items() if name not in _HIDDEN]
    if entry.tenant:
        words.append(f"tenant={safe(entry.tenant)}")
    if ids and entry.trace_id:
        words.append(f"trace={entry.trace_id[:_TRACE]}")
    return " ".join(words)


def _value(value: object) -> str:
    if not isinstance(value, str):
        return safe(json.dumps(value, default=str))
    # What could be taken for the end of a value, and for another one, is inside of quotes.
    quoted = not value or any(one in value for one in ' ="')
    return safe(json.dumps(value, ensure_ascii=False) if quoted else value)


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 10 else f"{seconds * 1000:.1f} ms"
