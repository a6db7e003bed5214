"""One entry of a log, whoever wrote it: what each server's lines say, in one form.

JSON (the service, jeex itself, Vault's audit log) and the lines of PostgreSQL, Valkey and OpenBao are understood; anything
else is a message without a time. Which service an entry is of, its reader knows from where it was found: nothing in a line
can change that. Secrets are hidden here once more, by how they look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from jeex_cli.redaction import redactor

Hide = Callable[[str], str]  # what takes secrets out of a text
LEVELS = ("debug", "info", "warning", "error", "critical")
_MOST_LINES = 500  # of one entry: what goes on for longer is cut there, not kept in memory

_TIME = r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d(?:\.\d+)?)"
_POSTGRES = re.compile(
    _TIME + r" (?P<zone>\S+) \[(?P<pid>\d+)\] (?:(?P<state>[0-9A-Z]{5}) )?(?:(?P<login>\S*@\S*) \[(?P<application>.*?)\] )?"
    r"(?P<severity>DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  "
    r"(?P<text>.*)"
)
_MORE = ("DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION")  # what belongs to the message before it
_OPENBAO = re.compile(_TIME + r"Z \[(?P<severity>[A-Z]+)\]\s+(?P<text>.*)")
_VALKEY = re.compile(r"\d+:[A-Z] (?P<stamp>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<severity>[.\-*#]) (?P<text>.*)")
_TIMED = re.compile(_TIME + r"(?:Z| UTC|\+00:00)?\b")
_FAILED = re.compile(r"Traceback \(most recent|[\w.]+(?:Error|Exception)\b|panic:|fatal", re.IGNORECASE)

_TRACE = re.compile(r"(?:^|[ -])([0-9a-f]{32})(?:$|-)")
_DURATION = re.compile(r"duration: ([0-9]+\.[0-9]+) ms")
# What begins and ends a transaction says what it is for: service/core/correlation.py.
_COMMENT = re.compile(
    r"/\*(?:job_id='(?P<job>[\w.-]+)',?)?(?:request_id='(?P<request>[\w.-]+)',?)?(?:traceparent='00-(?P<trace>[0-9a-f]{32})-)?"
)
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SEVERITIES = {
    **{"log": "info", "notice": "info", "fatal": "critical", "panic": "critical"},
    **{"trace": "debug", "warn": "warning", "err": "error", "exception": "error"},
    **{".": "debug", "-": "info", "*": "info", "#": "warning"},
}


@dataclass(frozen=True, slots=True)
class Entry:
    """`at` in seconds since the epoch (0 where it says none), `seconds` how long what it tells of took until then.

    `more` are further lines of the same message, `fields` what else it says, `text` the lines as they were written.
    """

    at: float
    service: str
    level: str
    message: str
    text: str
    trace_id: str = ""
    request_id: str = ""
    job_id: str = ""
    tenant: str = ""
    seconds: float | None = None
    more: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def ids(self) -> tuple[str, str, str]:
        """Trace, request and job, "" for what it does not name."""
        return self.trace_id, self.request_id, self.job_id


def starts(line: str) -> bool:
    """Whether an entry begins with that line; otherwise it belongs to the one before it."""
    if line[:1] in ("\t", " ", ""):
        return False
    if any(f"{one}:  " in line for one in _MORE) and (found := _POSTGRES.match(line)):
        return found["severity"] not in _MORE
    return True


def blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """`lines`, those of one entry together."""
    block: list[str] = []
    for line in lines:
        if block and starts(line):
            yield block
            block = []
        if len(block) < _MOST_LINES:
            block.append(line)
    if block:
        yield block


def parse(service: str, block: Sequence[str], *, at: float = 0.0) -> Entry:
    """The entry that those lines are. `at` is its time where it says none."""
    first, text = block[0], "\n".join(block)
    hide = redactor(text)
    text = hide(text)
    if first.startswith("{"):
        try:
            found = json.loads(first)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return _json(service, found, text, [hide(one) for one in block[1:]], at, hide=hide)
    for form, read in ((_POSTGRES, _postgres), (_OPENBAO, _openbao), (_VALKEY, _valkey)):
        if match := form.match(first):
            return read(service, match, [hide(one) for one in block[1:]], text, hide)
    failed = _FAILED.match(first) is not None
    timed = _TIMED.match(first)
    message, *more = text.split("\n")
    return Entry(_moment(timed) if timed else at, service, "error" if failed else "info", message, text, more=tuple(more))


def safe(text: str) -> str:
    """`text` as one line that a terminal only shows: without controls, Unicode's line ends and what nobody sees."""
    text = text.replace("\t", "  ")
    return text if text.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    number = ord(one)
    if one in "\n\r":
        return "\\n" if one == "\n" else "\\r"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def level_of(text: str) -> str:
    """A level by any of its names; `info` for what is none."""
    name = text.lower().rstrip("0123456789")  # PostgreSQL has five kinds of debug
    return name if name in LEVELS else _SEVERITIES.get(name, "info")


# ------------------------------------------------------------------ one form each


def _json(service: str, found: dict[str, Any], text: str, more: list[str], at: float, *, hide: Hide) -> Entry:
    if isinstance(found.get("request"), dict) and found.get("type") in ("request", "response"):
        return _audit(service, found, text, at, hide)
    stamp = _iso(found.pop("timestamp", None) or found.pop("time", None))
    level = level_of(str(found.pop("level", "info")))
    message = hide(str(found.pop("event", None) or found.pop("message", "")))
    exception = found.pop("exception", None)
    if isinstance(exception, str):
        more = [*hide(exception).split("\n"), *more]
    ids = {name: _id(found.pop(name, None)) for name in ("trace_id", "request_id", "job_id")}
    tenant = str(found.pop("tenant", "") or "")
    took = found.get("ms")
    return Entry(
        stamp or at,
        service,
        level,
        message,
        text,
        **ids,
        tenant=tenant,
        seconds=took / 1000 if isinstance(took, int | float) else None,
        more=tuple(more),
        fields={name: _clean(one, hide) for name, one in found.items() if name != "span_id"},
    )


def _audit(service: str, found: dict[str, Any], text: str, at: float, hide: Hide) -> Entry:
    """An entry of Vault's audit log: what was asked, by whom, on behalf of what."""
    asked: dict[str, Any] = found["request"]
    given = asked.get("headers")
    headers = {str(name).lower(): one for name, one in given.items()} if isinstance(given, dict) else {}

    def header(name: str) -> str:
        values = headers.get(name)
        return str(values[0]) if isinstance(values, list) and values else ""

    trace = _TRACE.search(header("traceparent"))
    who = found.get("auth")
    fields: dict[str, Any] = {"type": found["type"], "vault_request": str(asked.get("id", ""))}
    if isinstance(who, dict) and isinstance(who.get("metadata"), dict):
        fields["role"] = str(who["metadata"].get("role_name", ""))
    if found.get("error"):
        fields["error"] = hide(str(found["error"]))
    return Entry(
        _iso(found.get("time")) or at,
        service,
        "warning" if found.get("error") else "info",
        f"audit: {asked.get('operation', '')} {asked.get('path', '')}",
        text,
        trace_id=trace[1] if trace else "",
        request_id=_id(header("x-request-id")),
        job_id=_id(header("x-job-id")),
        fields=fields,
    )


def _postgres(service: str, found: re.Match[str], more: list[str], text: str, hide: Hide) -> Entry:
    application = found["application"] or ""
    trace = _TRACE.search(application)
    comment = _COMMENT.search(found["text"]) if "/*" in found["text"] else None
    named = {name: one or "" for name, one in comment.groupdict().items()} if comment else {}
    took = _DURATION.match(found["text"])
    fields: dict[str, Any] = {"pid": int(found["pid"])}
    if found["login"]:
        name = application.removesuffix(trace[1]).strip() if trace else application
        fields |= {"login": found["login"], "application": name}
    if found["state"] and found["state"] != "00000":
        fields["sqlstate"] = found["state"]
    return Entry(
        _moment(found),
        service,
        level_of(found["severity"]),
        hide(found["text"]),
        text,
        trace_id=trace[1] if trace else named.get("trace", ""),
        request_id=named.get("request", ""),
        job_id=named.get("job", ""),
        seconds=float(took[1]) / 1000 if took else None,
        more=tuple(_without_prefix(one) for one in more),
        fields=fields,
    )


def _without_prefix(line: str) -> str:
    found = _POSTGRES.match(line)
    return f"{found['severity']}:  {found['text']}" if found else line


def _openbao(service: str, found: re.Match[str], more: list[str], text: str, hide: Hide) -> Entry:
    return Entry(_moment(found), service, level_of(found["severity"]), hide(found["text"]), text, more=tuple(more))


def _valkey(service: str, found: re.Match[str], more: list[str], text: str, hide: Hide) -> Entry:
    at = datetime.strptime(found["stamp"], "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    return Entry(at, service, level_of(found["severity"]), hide(found["text"]), text, more=tuple(more))


def _moment(found: re.Match[str]) -> float:
    return _iso(f"{found['day']}T{found['time']}+00:00") or 0.0


def _iso(stamp: object) -> float | None:
    try:
        at = datetime.fromisoformat(str(stamp))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _clean(value: Any, hide: Hide) -> Any:
    if isinstance(value, dict):
        return {name: _clean(one, hide) for name, one in value.items()}
    if isinstance(value, list):
        return [_clean(one, hide) for one in value]
    return hide(value) if isinstance(value, str) else value


def _id(value: object) -> str:
    text = str(value or "")
    return text if _ID.fullmatch(text) else ""
