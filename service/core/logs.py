"""Logs: one JSON object per line on stdout, from our own code and from every library, in every process.

A line always has `timestamp` (UTC, ISO 8601), `level`, `event` and `process`; inside a request also `request_id` and
`trace_id`. Secrets are blanked by the name of their field and by what they look like. Nothing a user sends can end a
line or reach a terminal as a control character.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_HIDDEN = "***"
_SECRET_FIELD = re.compile(r"passw|secret|token|authorization|cookie|credential|pepper|api_?key", re.IGNORECASE)
# What credentials look like wherever they turn up: our API keys, passwords in URLs, bearer tokens, Vault's tokens, access
# tokens, passwords in connection strings and in SQL. And what PostgreSQL tells of rows: it is somebody's.
_SECRET_TEXT = re.compile(
    r"(?P<key>\bjx_[0-9a-f]{6})[0-9a-f]*_[0-9a-zA-Z_]+"
    r"|(?P<url>://[^\s:/@]*:)[^\s/@]+(?=@)"
    r"|(?P<bearer>\b[Bb]earer )[^\s\"']+"
    r"|(?P<vault>\b(?:hv)?[sb]\.)[0-9A-Za-z_-]{20,}"
    r"|(?P<jwt>\beyJ)[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*"
    r"|(?P<word>(?i:\bpassword\s*=\s*[\"']?))[^\s\"',;&]+"
    r"|(?P<sql>(?i:\bpassword\s+'))(?:[^']|'')+"
    r"|(?P<row>\bDETAIL:  )[^\n]+"
)
# JSON escapes C0 itself. C1, DEL and the Unicode line ends are characters like any other to JSON, but not to a terminal
# or to a program that splits lines.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029]")
_FIRST = ("timestamp", "level", "process", "event")  # where people look for them
# Libraries whose own information would repeat ours.
_QUIET = ("alembic", "asyncio", "hvac", "httpx", "streaq", "urllib3", "uvicorn.access")


def configure(level: str, process: str) -> None:
    """Send every log of this process to stdout. `level` is debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]

    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank secrets, however deep they sit."""
    return {
        name: _HIDDEN if _is_secret(name) else redact_text(value) if type(value) is str else _clean(value)
        for name, value in event.items()
    }


def redact_text(text: str) -> str:
    """`text` without what looks like a credential."""
    # One of these is in whatever _SECRET_TEXT finds. Nearly always there is none, and this is ten times as fast.
    suspect = "jx_" in text or "://" in text or "earer " in text or "s." in text or "b." in text or "eyJ" in text
    if not suspect and not ("assword" in text or "ASSWORD" in text or "DETAIL:" in text):
        return text
    return _SECRET_TEXT.sub(lambda found: f"{found[found.lastgroup or 0]}{_HIDDEN}", text)


@lru_cache(1024)
def _is_secret(name: str) -> bool:
    return _SECRET_FIELD.search(name) is not None


def _clean(value: Any) -> Any:
    match value:
        case str():
            return redact_text(value)
        case Mapping():
            return {str(name): _HIDDEN if _is_secret(str(name)) else _clean(one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(one) for one in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return redact_text(str(value))  # and what has no JSON form gets one


def render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One line of JSON without its end."""
    event.pop("color_message", None)  # uvicorn's second copy, with escapes for a terminal
    event = {**{name: event[name] for name in _FIRST if name in event}, **event}
    try:
        line = orjson.dumps(event).decode()
    except TypeError:  # a lone surrogate, or a number beyond 64 bits: rare, and no reason to lose the line
        return json.dumps(event, default=str)
    if line.isascii() and "\x7f" not in line:
        return line
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
