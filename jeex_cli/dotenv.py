"""The grammar of `.env`, as Docker Compose reads it.

    NAME=value  NAME: value  export NAME=value      cut at ` #`, trimmed; `$` is interpolated
    NAME='value'                                    as it is, over several lines if need be; \\' for a quote
    NAME="value"                                    the same with escapes (\\n \\t \\" \\\\ \\$ ...), then interpolated
    NAME                                            taken from the environment

Where the grammar surprises (a value may begin with `#`, another assignment may follow a closing quote, letters of any
alphabet make a name), Compose is followed: the same file must mean the same to `docker compose up`.
tests/integration/test_grammar_parity.py asks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jeex_cli.errors import ConfigError
from jeex_cli.interpolation import InterpolationError, interpolate

# Two notions of white space, as Go has them: `_BLANKS` stay within a line, `_SPACES` are all of Unicode's.
_BLANKS = "\t\v\f\r \x85\xa0"
_SPACES = (
    _BLANKS + "\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

_GAP = re.compile(rf"(?:[{_SPACES}]+|#[^\n]*)*")  # between statements; a comment may begin after any white space
_EXPORT = re.compile(rf"export[\t\n\f\r ][{_BLANKS}]*")
_QUOTED = {quote: re.compile(rf"{quote}((?:\\.|[^\\{quote}])*){quote}", re.DOTALL) for quote in ('"', "'")}
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE = re.compile(r'\\([abcfnrtv$"\\]|0[0-9]{0,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "$": "$$"}


def parse(text: str, *, source: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a `.env`, the last of two with one name winning.

    Values may name variables of `environ` (which win) and of earlier lines. Raises ConfigError with `source` and the line;
    a value, which may be a secret, is never part of the error.
    """
    scanner = _Scanner(text, source)
    scanner.position = len(text) - len(text.removeprefix("\ufeff"))
    found: dict[str, str] = {}
    while scanner.next_statement():
        start = scanner.position
        name, assigned = scanner.name()
        if not assigned:
            if name in environ:
                found[name] = environ[name]
            continue
        raw, literal = scanner.value(name)
        try:
            value = raw if literal else interpolate(raw, {**found, **environ})
        except InterpolationError as error:
            raise scanner.error(
                start, f"{name}: {error.reason}", "correct {line}; a value in single quotes is taken as it is"
            ) from error
        if name:
            found[name] = value
    return found


@dataclass(slots=True)
class _Scanner:
    text: str
    source: str
    position: int = 0

    def error(self, position: int, what: str, hint: str) -> ConfigError:
        line = self.text.count("\n", 0, position) + 1
        return ConfigError(f"{self.source}:{line}: {what}", hint=hint.format(line=f"line {line} of {self.source}"))

    def next_statement(self) -> bool:
        gap = _GAP.match(self.text, self.position)
        self.position = gap.end() if gap else self.position
        return self.position < len(self.text)

    def name(self) -> tuple[str, bool]:
        """A name and whether it is assigned to, `position` then being where its value begins."""
        text = self.text
        export = _EXPORT.match(text, self.position)
        start = at = export.end() if export else self.position
        while at < len(text) and text[at] not in "=:\n":
            character = text[at]
            if not (character in "_.-[]" or character in _BLANKS or character.isalnum()):
                raise self.error(
                    at,
                    f"not of the form NAME=value ({character!r} cannot be part of a name)",
                    "correct {line}: begin a comment with #, put the whole value in quotes",
                )
            at += 1
        name = text[start:at].rstrip(_SPACES)
        if " " in name or (export and start == len(text)):
            # Compose lets a last line without a line break pass, as the value of a variable without a name. That is no
            # more than an oversight, and would hide what is wrong.
            raise self.error(start, "not of the form NAME=value", "correct {line}, or make it a comment with a # in front")
        self.position = at + 1
        if at == len(text) or text[at] == "\n":
            return (name if at < len(text) else ""), False  # Compose overlooks a name that ends the file
        while text.startswith(tuple(_BLANKS), self.position):
            self.position += 1
        return name, True

    def value(self, name: str) -> tuple[str, bool]:
        """The value at `position`, before interpolation, and whether it is to be taken literally."""
        text, start = self.text, self.position
        quote = text[start : start + 1]
        if quote not in _QUOTED:
            end = text.find("\n", start)
            self.position = len(text) if end < 0 else end + 1
            line = text[start : len(text) if end < 0 else end]
            return line.partition(" #")[0].rstrip(_SPACES), False
        # Before the quote a backslash goes, before anything else (itself too) it stays.
        closed = _QUOTED[quote].match(text, start)
        if closed is None:
            raise self.error(
                start,
                f"{name}: the value begins with {quote} and no {quote} closes it",
                f"close it with {quote} in {{line}}",
            )
        self.position = closed.end()
        inside = _PAIR.sub(lambda pair: pair[1] if pair[1] == quote else pair[0], closed[1])
        return (inside, True) if quote == "'" else (_ESCAPE.sub(_unescape, inside), False)


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if not code.startswith("0"):
        return _ESCAPED.get(code, escape[0])  # \c is known to Compose, but stands for nothing
    digits = code[1:]
    if len(digits) == 3 and not set(digits) & {"8", "9"} and int(digits, 8) < 256:
        return chr(int(digits, 8))
    return "\\" + digits  # no octal number: Compose drops the 0 all the same
