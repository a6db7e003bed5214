"""The grammar of `.env`, as Docker Compose reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jeex_cli.errors import ConfigError
from jeex_cli.interpolation import InterpolationError, interpolate

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


def parse(text: str, *, source: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a `.env`, the last of two with one name winning.

    Values may name variables of `environ` (which win) and of earlier lines. Raises ConfigError with `source` and the line;
    a value, which may be a secret, is never part of the error.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    position, line = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        stripped = text[position:end].strip()
        if not stripped or stripped.startswith("#"):
            position, line = end + 1, line + 1
            continue
        assignment = _ASSIGNMENT.match(text, position, end)
        if assignment is None:
            raise ConfigError(
                f"{source}:{line}: not of the form NAME=value",
                hint=f"correct line {line}; a comment begins with #",
            )
        raw, after, literal = _raw_value(text, assignment.end(), end, f"{source}:{line}")
        try:
            found[assignment[1]] = raw if literal else interpolate(raw, {**found, **environ})
        except InterpolationError as error:
            raise ConfigError(
                f"{source}:{line}: {assignment[1]}: {error}",
                hint=f"correct line {line}; a value in single quotes is taken as it is",
            ) from error
        line += text.count("\n", position, after) + 1
        position = after + 1
    return found


def _raw_value(text: str, start: int, end: int, where: str) -> tuple[str, int, bool]:
    """The value that begins at `start`, the end of its last line, and whether it is to be taken literally."""
    quote = text[start : start + 1]
    if quote not in ('"', "'"):
        value = text[start:end]
        comment = re.search(r"(?:^|[ \t])#", value)
        return (value[: comment.start()] if comment else value).strip(), end, False
    position = start + 1
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise ConfigError(f"{where}: a quote that is never closed", hint=f"close it with {quote}")
    inside = text[start + 1 : position]
    after = text.find("\n", position)
    after = len(text) if after < 0 else after
    rest = text[position + 1 : after].strip()
    if rest and not rest.startswith("#"):
        raise ConfigError(f"{where}: something follows the closing quote", hint="remove it, or quote the whole value")
    if quote == "'":
        return inside.replace("\\'", "'"), after, True
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], "\\" + found[1]), inside), after, False
